# One step of the consumer tests: cmake -DSTEP=<step> ... -P check.cmake. The install step feeds the others.
cmake_minimum_required(VERSION 3.25)

set(prefix "${WORK}/prefix")

function(run)
    execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    message("${output}")
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " line)
        message(FATAL_ERROR "failed with ${status}: ${line}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

# Release consumers of a debug library, and the flags of a sanitizer build, which its runtime needs.
set(common -G "${GENERATOR}" "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_FLAGS=${FLAGS}"
    "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}")
set(consumer "${ROOT}/tests/consumer")

if(STEP STREQUAL "install")
    file(REMOVE_RECURSE "${WORK}")
    run(${CMAKE_COMMAND} --install "${BUILD}" --prefix "${prefix}")
    # Moved once, so that a path of the build or the first prefix would show.
    file(RENAME "${prefix}" "${prefix}.moved")
    file(RENAME "${prefix}.moved" "${prefix}")

elseif(STEP STREQUAL "find_package")
    run(${CMAKE_COMMAND} -S "${consumer}" -B "${WORK}/find_package" ${common} -DHOW=find_package
        "-DWANTED_VERSION=${VERSION}" "-DCMAKE_PREFIX_PATH=${prefix}")
    run(${CMAKE_COMMAND} --build "${WORK}/find_package")
    run("${prefix}/bin/tenon-ephemeral" -- "${WORK}/find_package/consumer")
    if(NOT output MATCHES "tenon ${VERSION}: ")
        message(FATAL_ERROR "the consumer must name tenon ${VERSION}")
    endif()
    run("${WORK}/find_package/pqxx_consumer")

elseif(STEP STREQUAL "version")
    # A newer minor version may break a program before 1.0, so it must not be taken for the wanted one.
    execute_process(COMMAND ${CMAKE_COMMAND} -S "${consumer}" -B "${WORK}/version" ${common} -DHOW=find_package
                    -DWANTED_VERSION=0.99 "-DCMAKE_PREFIX_PATH=${prefix}"
                    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(status EQUAL 0 OR NOT output MATCHES "version: ${VERSION}")
        message(FATAL_ERROR "asking for 0.99 must fail and name ${VERSION}:\n${output}")
    endif()

elseif(STEP STREQUAL "pkg_config")
    set(ENV{PKG_CONFIG_PATH} "${prefix}/${LIBDIR}/pkgconfig")
    run(pkg-config --modversion tenon)
    if(NOT output STREQUAL "${VERSION}\n")
        message(FATAL_ERROR "tenon.pc says ${output}, and this is ${VERSION}")
    endif()
    execute_process(COMMAND pkg-config --cflags --libs tenon OUTPUT_VARIABLE flags COMMAND_ERROR_IS_FATAL ANY)
    separate_arguments(flags UNIX_COMMAND "${FLAGS} ${flags}")
    run(${LAUNCHER} ${COMPILER} -std=c++20 -c "${consumer}/consumer.cpp" -o "${WORK}/consumer_pkg_config.o" ${flags})
    run(${COMPILER} "${WORK}/consumer_pkg_config.o" -o "${WORK}/consumer_pkg_config" ${flags})

else() # add_subdirectory, FetchContent
    # The prefix stands for a system with libpqxx installed; the build this test belongs to covers the other case.
    run(${CMAKE_COMMAND} -S "${consumer}" -B "${WORK}/${STEP}" ${common} -DHOW=${STEP} "-DTENON_SOURCE=${ROOT}"
        "-DCMAKE_PREFIX_PATH=${prefix}")
    run(${CMAKE_COMMAND} --build "${WORK}/${STEP}" --target consumer pqxx_consumer)
endif()
