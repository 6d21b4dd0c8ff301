#include <tenon/codec/enumeration.hpp>

#include <string>

namespace tenon::detail {

void throw_unnamed_enumerator(std::string_view type) {
    throw_encode_error("the number is no enumerator of enum " + std::string(type) +
                       " between 0 and 127: specialise tenon::enum_labels to name it");
}

void throw_unknown_label(std::string_view type) {
    throw_decode_error("the stored label is not an enumerator of " + std::string(type) +
                       ": add it, or specialise tenon::enum_labels");
}

} // namespace tenon::detail
