# All waiting goes through one seam: cmake -DROOT=<project> -P check_waits.cmake
#
# Checks include/tenon and src, but for src/pg/waiting.* (the seam) and src/testing. Fails on whatever waits, starts a
# thread, or blocks inside of libpq. Comments and string literals are not looked at.
cmake_minimum_required(VERSION 3.25)

set(word "(^|[^A-Za-z0-9_])")
set(free "(^|[^A-Za-z0-9_.>])") # not a member: the seam's own verbs are members
set(forbidden
    # sockets and time
    "${free}(poll|ppoll|select|pselect|epoll_p?wait2?) *\\("
    "${word}(sleep_for|sleep_until|nanosleep|clock_nanosleep|usleep) *\\("
    "${free}sleep *\\("
    # other threads
    "${word}std::(thread|jthread|async|condition_variable|condition_variable_any|future|shared_future|promise)[^A-Za-z0-9_:]"
    "${word}std::(packaged_task|latch|barrier|counting_semaphore|binary_semaphore)[^A-Za-z0-9_]"
    "${word}pthread_(create|join|cond_[a-z]+) *\\("
    "[.>](notify_one|notify_all|wait_for|wait_until) *\\(" # atomics wait, too
    # libpq
    "${word}PQ(exec|execParams|execPrepared|prepare|describePrepared|describePortal|closePrepared|closePortal|fn) *\\("
    "${word}PQ(connectdb|connectdbParams|setdb|setdbLogin|reset|ping|pingParams|cancelBlocking|requestCancel) *\\("
    "${word}PQ(encryptPasswordConn|changePassword) *\\("
    "${word}PQgetCopyData *\\([^;]*, *0 *\\)"
    "${word}lo_[a-z_]+ *\\(")
set(cancel "${word}PQcancel *\\(") # waited for on a helper's thread, in one place

set(problems "")
file(GLOB_RECURSE files RELATIVE "${ROOT}" "${ROOT}/include/*.hpp" "${ROOT}/src/*.hpp" "${ROOT}/src/*.cpp")
list(FILTER files EXCLUDE REGEX "^src/pg/waiting\\.[ch]pp$|^(src|include/tenon)/testing/")
list(SORT files)

foreach(file IN LISTS files)
    file(READ "${ROOT}/${file}" text)
    string(REPLACE "\\\"" "" text "${text}")
    string(REGEX REPLACE "\"[^\"\n]*\"" "\"\"" text "${text}")
    string(REGEX REPLACE "//[^\n]*" "" text "${text}")
    set(patterns "${forbidden}")
    if(NOT file STREQUAL "src/pg/canceller.cpp")
        list(APPEND patterns "${cancel}")
    endif()
    foreach(pattern IN LISTS patterns)
        if(text MATCHES "${pattern}")
            string(REGEX REPLACE "[ \n]+" " " found "${CMAKE_MATCH_0}")
            string(STRIP "${found}" found)
            list(APPEND problems "${file}: '${found}': wait by src/pg/waiting.hpp")
        endif()
    endforeach()
endforeach()

list(LENGTH files count)
if(problems)
    list(JOIN problems "\n  " text)
    message(FATAL_ERROR "not all waiting goes through the seam:\n  ${text}")
endif()
message(STATUS "waits: ${count} files, all wait by the seam")
