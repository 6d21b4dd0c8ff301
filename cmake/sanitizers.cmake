# Sanitizers reach whoever links the target: an instrumented static library needs its runtime in the
# final link. They are a matter of this build tree, so an installed package does not pass them on.
function(tenon_enable_sanitizers target)
    if(NOT TENON_SANITIZE)
        return()
    endif()
    set(flags -fsanitize=${TENON_SANITIZE} -fno-omit-frame-pointer)
    if(TENON_SANITIZE MATCHES "undefined")
        # A report that lets the process exit with 0 would let a test pass.
        list(APPEND flags -fno-sanitize-recover=all)
    endif()
    target_compile_options(${target} PRIVATE ${flags})
    target_link_options(${target} PUBLIC "$<BUILD_INTERFACE:${flags}>")
endfunction()
