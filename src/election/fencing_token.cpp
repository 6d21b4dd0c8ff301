#include <tenon/election/fencing_token.hpp>

#include <charconv>
#include <system_error>

namespace tenon {

std::string fencing_token::to_string() const {
    return std::to_string(timeline) + "-" + std::to_string(term) + "-" + id.to_string();
}

std::optional<fencing_token> fencing_token::parse(std::string_view text) noexcept {
    fencing_token token;
    const auto take_number = [&text](auto& number) {
        const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
        const auto length = static_cast<std::size_t>(end - text.data());
        if (failure != std::errc{} || number < 0 || length == text.size() || *end != '-')
            return false;
        text.remove_prefix(length + 1);
        return true;
    };
    if (!take_number(token.timeline) || !take_number(token.term))
        return std::nullopt;
    const std::optional<uuid> id = uuid::parse(text);
    if (!id)
        return std::nullopt;
    token.id = *id;
    return token;
}

} // namespace tenon
