# One run of a model: cmake -DSPIN=<spin> -DCC=<C compiler> -DMODEL=<file> -DRUN=<name> -DWORK=<folder> -P check.cmake
# The model has a line for it, `run: <name> holds|fails <claim> <settings>`. A claim that holds must hold in the whole
# state space, and one that fails must be seen to fail: a search that was cut short says neither.
cmake_minimum_required(VERSION 3.25)

# A search finds the same every time: one that has passed is not repeated until the model, this script or spin changes.
file(READ "${MODEL}" text)
file(READ "${CMAKE_CURRENT_LIST_FILE}" script)
execute_process(COMMAND "${SPIN}" -V OUTPUT_VARIABLE spin_version)
string(SHA256 inputs "${text}${script}${spin_version}")
if(EXISTS "${WORK}/passed-${inputs}")
    message(STATUS "${RUN}: unchanged since it passed")
    return()
endif()

file(STRINGS "${MODEL}" line REGEX "run: +${RUN} ")
if(NOT line MATCHES "run: +([^ ]+) +(holds|fails) +([^ ]+) *(.*)$")
    message(FATAL_ERROR "${MODEL} needs one line `run: ${RUN} holds|fails <claim> <settings>`, and has: ${line}")
endif()
set(expected ${CMAKE_MATCH_2})
set(claim ${CMAKE_MATCH_3})
string(REGEX MATCHALL "[^ ]+" settings "${CMAKE_MATCH_4}")
list(TRANSFORM settings PREPEND "-D")

# "Eventually" is about endless executions: it takes the search for cycles, of those that are fair to each process.
file(STRINGS "${MODEL}" eventually REGEX "^ltl ${claim} .*<>")
if(eventually)
    set(search -DNFAIR=3)
    set(options -a -f)
else()
    set(search -DSAFETY)
    set(options "")
endif()

# step <what> <command...>: its output is in `output`.
function(step what)
    execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${WORK}"
                    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
    if(NOT status EQUAL 0)
        message(FATAL_ERROR "${what} failed (${status}):\n${output}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
step("spin" "${SPIN}" "-P${CC} -E -x c" ${settings} -a "${MODEL}")
step("compiling the search" "${CC}" -O1 -w -DMEMLIM=1000 ${search} -o pan pan.c)
step("the search" "${WORK}/pan" ${options} -m1000000 -N ${claim})

string(REGEX MATCH "[0-9]+ states, stored" states "${output}")
string(REGEX MATCH "elapsed time [0-9.e+]+" time "${output}")
message(STATUS "${RUN}: ${states}, ${time} s")

if(NOT output MATCHES "errors: ([0-9]+)")
    message(FATAL_ERROR "the search has no result:\n${output}")
endif()
set(errors ${CMAKE_MATCH_1})
string(REGEX MATCH "max search depth too small|out of memory|MEMLIM bound" cut_short "${output}")
if(cut_short)
    message(FATAL_ERROR "the search was cut short (${cut_short}):\n${output}")
elseif(NOT output MATCHES "ltl formula ${claim}\n")
    message(FATAL_ERROR "the search was for another claim than ${claim}:\n${output}")
elseif(expected STREQUAL "holds" AND (NOT errors EQUAL 0 OR output MATCHES "Search not completed"))
    cmake_path(GET MODEL FILENAME file)
    string(JOIN " " shown ${settings})
    message(FATAL_ERROR "${claim} does not hold. To see how:\n"
            "  cd ${WORK} && ${SPIN} -k ${file}.trail -p -g ${shown} ${MODEL}\n${output}")
elseif(expected STREQUAL "fails" AND (errors EQUAL 0 OR NOT output MATCHES "assertion violated|acceptance cycle"))
    message(FATAL_ERROR "${claim} must fail in this run, and spin finds no execution in which it does:\n${output}")
endif()
file(TOUCH "${WORK}/passed-${inputs}")
