// An object that is never defined, to take addresses inside a type without making a value of it.
#pragma once

namespace tenon::detail {

template <class T>
struct phantom_holder {
    T value;
    ~phantom_holder() = delete; // never made; keeps T's own constructors and destructor out of it
};

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template" // only addresses inside it are used
#pragma clang diagnostic ignored "-Wundefined-internal"     // nor is it defined for records without linkage
#endif
template <class T>
extern const phantom_holder<T> phantom;

template <class T>
constexpr const T& phantom_of() noexcept {
    return phantom<T>.value;
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

} // namespace tenon::detail
