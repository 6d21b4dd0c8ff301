# The installed package: find_package(tenon), or pkg-config tenon.
include(CMakePackageConfigHelpers)

set(tenon_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/tenon)

# Shared libraries are found beside the program, wherever the prefix is moved to.
file(RELATIVE_PATH tenon_bin_to_lib "/${CMAKE_INSTALL_BINDIR}" "/${CMAKE_INSTALL_LIBDIR}")
set_target_properties(tenon_ephemeral PROPERTIES INSTALL_RPATH "$ORIGIN/${tenon_bin_to_lib}")
set_target_properties(tenon tenon_testing ${tenon_optional_libraries} PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS tenon tenon_testing tenon_ephemeral EXPORT tenon-targets)
install(DIRECTORY include/tenon TYPE INCLUDE PATTERN include/tenon/prometheus EXCLUDE)
install(FILES LICENSE TYPE DOC)
install(EXPORT tenon-targets NAMESPACE tenon:: DESTINATION ${tenon_cmake_dir})

# Exported by itself: whoever does not use it needs no prometheus-cpp to find tenon.
if(TARGET tenon_prometheus)
    install(TARGETS tenon_prometheus EXPORT tenon-prometheus-targets)
    install(DIRECTORY include/tenon/prometheus DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon)
    install(EXPORT tenon-prometheus-targets NAMESPACE tenon:: DESTINATION ${tenon_cmake_dir})
endif()

# A static tenon leaves its private libraries to the final link, a shared one has taken them in.
get_target_property(tenon_type tenon TYPE)
if(tenon_type STREQUAL "STATIC_LIBRARY")
    set(tenon_is_static ON)
    set(tenon_pc_requires "Requires")
else()
    set(tenon_is_static OFF)
    set(tenon_pc_requires "Requires.private")
endif()

# What came from a fetched source goes along, so that the prefix is all a clean machine needs besides libpq.
# A fetched libpqxx brings install rules of its own.
set(tenon_pc_cflags "")
if(tenon_pfr_fetched)
    install(DIRECTORY "${pfr_SOURCE_DIR}/include/boost" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tenon/third_party)
    file(GLOB pfr_license "${pfr_SOURCE_DIR}/LICENSE*")
    install(FILES ${pfr_license} DESTINATION ${CMAKE_INSTALL_DOCDIR}/boost-pfr)
    set(tenon_pc_cflags " -isystem \${includedir}/tenon/third_party")
endif()
if(libpqxx_SOURCE_DIR)
    install(FILES "${libpqxx_SOURCE_DIR}/COPYING" DESTINATION ${CMAKE_INSTALL_DOCDIR}/libpqxx)
endif()

configure_package_config_file(cmake/tenon-config.cmake.in "${PROJECT_BINARY_DIR}/tenon-config.cmake"
                              INSTALL_DESTINATION ${tenon_cmake_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tenon-config-version.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/tenon-config.cmake" "${PROJECT_BINARY_DIR}/tenon-config-version.cmake"
              cmake/Findlibpqxx.cmake
        DESTINATION ${tenon_cmake_dir})

file(RELATIVE_PATH tenon_pc_up "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/tenon.pc.in "${PROJECT_BINARY_DIR}/tenon.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tenon.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
