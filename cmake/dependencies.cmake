# Third-party code: the system's package when it is new enough, else the pinned upstream release.
#
# A folder can stand in for the download: FETCHCONTENT_SOURCE_DIR_<NAME>, which is CMake's own switch,
# or build/third_party/<name>, which `./dev setup` fills where the distribution is too old. Everything
# here is SYSTEM, so its warnings are not ours.
include(FetchContent)
list(PREPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")

find_package(Threads REQUIRED)
find_package(PostgreSQL REQUIRED)

# Fetches <name> and adds its targets. The settings here end with the function.
function(tenon_fetch name)
    set(CMAKE_CXX_STANDARD 20)
    set(CMAKE_POSITION_INDEPENDENT_CODE ON)
    set(CMAKE_EXPORT_COMPILE_COMMANDS OFF)
    set(BUILD_SHARED_LIBS OFF)
    string(APPEND CMAKE_CXX_FLAGS " -w")
    string(REPLACE "-g1" "-g0" CMAKE_CXX_FLAGS_DEBUG "${CMAKE_CXX_FLAGS_DEBUG}")
    string(TOUPPER ${name} upper)
    set(prepared "${tenon_SOURCE_DIR}/build/third_party/${name}")
    if(NOT FETCHCONTENT_SOURCE_DIR_${upper} AND EXISTS "${prepared}")
        set(FETCHCONTENT_SOURCE_DIR_${upper} "${prepared}")
    endif()
    FetchContent_Declare(${name} SYSTEM ${ARGN})
    FetchContent_MakeAvailable(${name})
    set(${name}_SOURCE_DIR "${${name}_SOURCE_DIR}" PARENT_SCOPE)
endfunction()

# Boost.PFR: only its own headers are needed, and it needs no other part of Boost. core_name.hpp came with
# Boost 1.84, the first release that knows field names.
find_path(TENON_PFR_INCLUDE_DIR boost/pfr/core_name.hpp DOC "Folder that holds boost/pfr.hpp, Boost 1.84 or newer")
mark_as_advanced(TENON_PFR_INCLUDE_DIR)
if(TENON_PFR_INCLUDE_DIR AND NOT FETCHCONTENT_SOURCE_DIR_PFR)
    set(tenon_pfr_include_dirs "$<BUILD_INTERFACE:${TENON_PFR_INCLUDE_DIR}>")
    set(tenon_pfr_fetched OFF)
else()
    tenon_fetch(pfr
        URL https://github.com/boostorg/pfr/archive/refs/tags/2.2.0.tar.gz
        URL_HASH SHA256=6f490ec1383de5855dcf801c23f0a967f888eb6e1440b6ca0bf36c12d4ae7ac7
        SOURCE_SUBDIR headers-only)
    set(tenon_pfr_include_dirs "$<BUILD_INTERFACE:${pfr_SOURCE_DIR}/include>"
                               "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/tenon/third_party>")
    set(tenon_pfr_fetched ON)
endif()

if(NOT FETCHCONTENT_SOURCE_DIR_LIBPQXX)
    find_package(libpqxx 7.9...<8 MODULE QUIET)
endif()
if(NOT TARGET libpqxx::pqxx)
    set(SKIP_BUILD_TEST ON)
    tenon_fetch(libpqxx
        URL https://github.com/jtv/libpqxx/archive/refs/tags/7.10.0.tar.gz
        URL_HASH SHA256=d588bca36357eda8bcafd5bc1f95df1afe613fdc70c80e426fc89eecb828fc3e)
    # Without an install of our own, its install rules are not the enclosing project's business.
    if(NOT TENON_INSTALL)
        set_property(DIRECTORY "${libpqxx_SOURCE_DIR}" PROPERTY EXCLUDE_FROM_ALL ON)
    endif()
endif()

if(NOT FETCHCONTENT_SOURCE_DIR_NLOHMANN_JSON)
    find_package(nlohmann_json 3.11 QUIET)
endif()
if(NOT TARGET nlohmann_json::nlohmann_json)
    tenon_fetch(nlohmann_json
        URL https://github.com/nlohmann/json/releases/download/v3.11.3/json.tar.xz
        URL_HASH SHA256=d6c65aca6b1ed68e7a182f4757257b107ae403032760ed6ef121c9d55e81757d)
endif()

if(TENON_TESTS)
    if(NOT FETCHCONTENT_SOURCE_DIR_CATCH2)
        find_package(Catch2 3 QUIET)
    endif()
    if(NOT TARGET Catch2::Catch2WithMain)
        set(CMAKE_UNITY_BUILD ON)
        set(CMAKE_UNITY_BUILD_BATCH_SIZE 16) # a quarter of the build time, and still enough files for every core
        tenon_fetch(catch2
            URL https://github.com/catchorg/Catch2/archive/refs/tags/v3.7.1.tar.gz
            URL_HASH SHA256=c991b247a1a0d7bb9c39aa35faf0fe9e19764213f28ffba3109388e62ee0269c)
        unset(CMAKE_UNITY_BUILD)
        unset(CMAKE_UNITY_BUILD_BATCH_SIZE)
        set_property(DIRECTORY "${catch2_SOURCE_DIR}" PROPERTY EXCLUDE_FROM_ALL ON)
    endif()
endif()

if(TENON_BENCHMARKS)
    if(NOT FETCHCONTENT_SOURCE_DIR_BENCHMARK)
        find_package(benchmark 1.7 QUIET)
    endif()
    if(NOT TARGET benchmark::benchmark)
        set(BENCHMARK_ENABLE_TESTING OFF CACHE INTERNAL "")
        tenon_fetch(benchmark
            URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
            URL_HASH SHA256=6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7)
        set_property(DIRECTORY "${benchmark_SOURCE_DIR}" PROPERTY EXCLUDE_FROM_ALL ON)
    endif()
endif()
