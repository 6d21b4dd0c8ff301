# The warnings tenon's own code is held to. Third-party headers are SYSTEM and stay out of this.
function(tenon_enable_warnings target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wcast-qual
        -Wnon-virtual-dtor -Woverloaded-virtual -Wundef -Wformat=2
        $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op>
        $<$<BOOL:${TENON_WERROR}>:-Werror>)
endfunction()
