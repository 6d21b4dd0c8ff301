# The README's program is the one that is built and run: cmake -DROOT=<project> -P check_readme.cmake
#
# The first ```cpp block of README.md begins by line 20 and equals examples/01_quickstart.cpp without its
# leading comment line; the example has at most 60 lines.
cmake_minimum_required(VERSION 3.25)

set(last_start 20)
set(most_lines 60)

# Texts are searched and cut whole: CMake's lists would trip over brackets and semicolons.
function(count_lines text result)
    string(REGEX MATCHALL "\n" ends "${text}")
    list(LENGTH ends count)
    set(${result} ${count} PARENT_SCOPE)
endfunction()

macro(take_line text line)
    string(FIND "${${text}}" "\n" end)
    string(SUBSTRING "${${text}}" 0 ${end} ${line})
    if(end EQUAL -1)
        set(${text} "")
    else()
        math(EXPR end "${end} + 1")
        string(SUBSTRING "${${text}}" ${end} -1 ${text})
    endif()
endmacro()

file(READ "${ROOT}/examples/01_quickstart.cpp" program)
count_lines("${program}" lines)
if(lines GREATER most_lines)
    message(FATAL_ERROR "examples/01_quickstart.cpp has ${lines} lines, and may have ${most_lines}")
endif()
if(program MATCHES "^//")
    take_line(program comment)
endif()
if(NOT program MATCHES "^#include")
    message(FATAL_ERROR "examples/01_quickstart.cpp must begin with at most one comment line, then #include")
endif()

file(READ "${ROOT}/README.md" readme)
set(readme "\n${readme}") # so that a fence on the first line has a line end before it, too
string(FIND "${readme}" "\n```cpp\n" start)
if(start EQUAL -1)
    message(FATAL_ERROR "README.md has no ```cpp block")
endif()
string(SUBSTRING "${readme}" 0 ${start} before)
count_lines("${before}\n" fence)
math(EXPR first "${fence} + 1")
if(first GREATER last_start)
    message(FATAL_ERROR "README.md: the program begins on line ${first}, and must by line ${last_start}")
endif()

math(EXPR start "${start} + 8") # behind "\n```cpp\n"
string(SUBSTRING "${readme}" ${start} -1 block)
string(FIND "${block}" "\n```\n" stop)
if(stop EQUAL -1)
    message(FATAL_ERROR "README.md: the ```cpp block of line ${fence} does not end")
endif()
math(EXPR stop "${stop} + 1")
string(SUBSTRING "${block}" 0 ${stop} block)

set(number ${fence})
while(NOT block STREQUAL program)
    math(EXPR number "${number} + 1")
    take_line(block shown)
    take_line(program built)
    if(NOT shown STREQUAL built)
        message(FATAL_ERROR "README.md:${number} must be\n  ${built}\nof examples/01_quickstart.cpp, and is\n  ${shown}")
    endif()
endwhile()
message(STATUS "README.md shows examples/01_quickstart.cpp, from line ${first} on")
