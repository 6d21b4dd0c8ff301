# The warnings tenon's own code is held to. Third-party headers are SYSTEM and stay out of this.
# -Wno-restrict: g++ 12 sees overlaps where a string literal is assigned (GCC bug 105651).
function(tenon_enable_warnings target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast -Wcast-qual
        -Wnon-virtual-dtor -Woverloaded-virtual -Wundef -Wformat=2
        $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wlogical-op -Wno-restrict>
        $<$<BOOL:${TENON_WERROR}>:-Werror>)
endfunction()
