# A misuse does not compile, with the sentence it is meant to have. Compiles SOURCE and matches the compiler's
# first error line with the file's own `// expect: <regex>` (or `// expect-clang:` for clang alone). A file
# without such a line is a control: it must compile.
cmake_minimum_required(VERSION 3.25)

file(STRINGS "${SOURCE}" expectation REGEX "^// expect: ")
if(COMPILER_ID MATCHES "Clang")
    file(STRINGS "${SOURCE}" for_clang REGEX "^// expect-clang: ")
    if(for_clang)
        set(expectation "${for_clang}")
    endif()
endif()
string(REGEX REPLACE "^// expect[-a-z]*: " "" expectation "${expectation}")

set(ENV{LC_ALL} C)
execute_process(COMMAND "${COMPILER}" -std=c++20 -fsyntax-only -w "@${FLAGS}" "${SOURCE}"
                RESULT_VARIABLE status ERROR_VARIABLE output OUTPUT_VARIABLE output)
string(REGEX MATCH "[^\n]*error: [^\n]*" first "${output}")

if(expectation STREQUAL "")
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "the control must compile, but:\n${output}")
    endif()
elseif(status EQUAL 0)
    message(FATAL_ERROR "it compiles, and must fail with: ${expectation}")
elseif(NOT first MATCHES "${expectation}")
    message(FATAL_ERROR "the first error must match\n  ${expectation}\nand is\n  ${first}\nof\n${output}")
endif()
