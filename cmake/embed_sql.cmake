# tenon_embed_sql(<target>): the scripts of sql/migrations become constants of the library (src/pg/embedded_scripts.hpp).
# Written when CMake configures, and again when a script has changed.
function(tenon_embed_sql target)
    file(GLOB_RECURSE scripts CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}/sql/migrations
         ${PROJECT_SOURCE_DIR}/sql/migrations/*.up.sql)
    list(SORT scripts)
    set(rows "")
    foreach(script IN LISTS scripts)
        set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/sql/migrations/${script})
        file(READ ${PROJECT_SOURCE_DIR}/sql/migrations/${script} text)
        string(REGEX REPLACE "\\.up\\.sql$" "" name ${script})
        string(APPEND rows "    {\"${name}\", R\"sql(${text})sql\"},\n")
    endforeach()
    list(LENGTH scripts count)
    set(output ${PROJECT_BINARY_DIR}/embedded_scripts.cpp)
    file(CONFIGURE OUTPUT ${output} @ONLY CONTENT [[
// Made from sql/migrations by cmake/embed_sql.cmake.
#include "embedded_scripts.hpp"

#include <array>

namespace tenon::detail {

namespace {

constexpr std::array<embedded_script, @count@> scripts{{
@rows@}};

} // namespace

std::span<const embedded_script> embedded_scripts() noexcept {
    return scripts;
}

} // namespace tenon::detail
]])
    target_sources(${target} PRIVATE ${output})
    set_source_files_properties(${output} PROPERTIES INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/src/pg)
endfunction()
