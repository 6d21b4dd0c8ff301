#include <tenon/codec/tsvector.hpp>

#include <charconv>
#include <cstring>
#include <vector>

namespace tenon::detail {

namespace {

// A position is 14 bits, with its weight in the two above (src/include/tsearch/ts_type.h).
constexpr std::uint16_t most_position = 0x3FFF;
constexpr std::string_view weights = "DCBA"; // D is not written
constexpr std::size_t most_positions = 256;  // MAXNUMPOS

[[noreturn]] void throw_not_text_form() {
    throw_encode_error("the text is not a tsvector as PostgreSQL writes it: 'fat':2A 'rat':3");
}

// Takes the text form apart, lexeme by lexeme.
class scanner {
public:
    explicit scanner(std::string_view text) : left_(text) {}

    bool next() {
        while (!left_.empty() && left_[0] == ' ')
            left_.remove_prefix(1);
        if (left_.empty())
            return false;
        lexeme.clear();
        positions.clear();
        if (left_[0] == '\'')
            quoted();
        else
            bare();
        if (lexeme.empty())
            throw_not_text_form();
        if (!left_.empty() && left_[0] == ':')
            do
                position();
            while (!left_.empty() && left_[0] == ',');
        if (!left_.empty() && left_[0] != ' ')
            throw_not_text_form();
        return true;
    }

    std::string lexeme;
    std::vector<std::uint16_t> positions;

private:
    char take() {
        if (left_.empty())
            throw_not_text_form();
        const char c = left_[0];
        left_.remove_prefix(1);
        return c;
    }
    void quoted() {
        (void)take();
        for (;;) {
            char c = take();
            if (c == '\'') {
                if (left_.empty() || left_[0] != '\'')
                    return;
                c = take();
            } else if (c == '\\') {
                c = take();
            }
            lexeme += c;
        }
    }
    void bare() {
        while (!left_.empty() && left_[0] != ' ' && left_[0] != ':') {
            const char c = take();
            if (c == '\'')
                throw_not_text_form();
            lexeme += c == '\\' ? take() : c;
        }
    }
    void position() {
        (void)take(); // the colon or comma
        unsigned number = 0;
        const auto [end, failure] = std::from_chars(left_.data(), left_.data() + left_.size(), number);
        if (failure != std::errc{} || number == 0 || number > most_position || positions.size() == most_positions ||
            (!positions.empty() && number <= (positions.back() & most_position)))
            throw_not_text_form();
        left_.remove_prefix(static_cast<std::size_t>(end - left_.data()));
        const std::size_t named = left_.empty() ? std::string_view::npos : weights.find(left_[0]);
        if (named != std::string_view::npos)
            left_.remove_prefix(1);
        const std::size_t weight = named != std::string_view::npos ? named : 0;
        positions.push_back(static_cast<std::uint16_t>(weight << 14 | number));
    }

    std::string_view left_;
};

} // namespace

void encode_tsvector(const tsvector& value, buffer& out) {
    if (value.text.find('\0') != std::string::npos)
        throw_not_text_form();
    const std::size_t at = out.size();
    out.put(std::int32_t{0});
    std::int32_t count = 0;
    for (scanner scan(value.text); scan.next(); ++count) {
        out.append(scan.lexeme);
        out.put('\0');
        out.put(static_cast<std::uint16_t>(scan.positions.size()));
        for (const std::uint16_t position : scan.positions)
            out.put(position);
    }
    out.patch(at, count);
}

tsvector decode_tsvector(wire_value value) {
    if (value.is_null() || value.size < 4)
        throw_bad_value(value, "tsvector");
    const auto count = load<std::int32_t>(value.data);
    std::string_view left = value.bytes().substr(4);
    tsvector result;
    for (std::int32_t i = 0; i < count; ++i) {
        const auto end = left.find('\0');
        if (end == 0 || end == std::string_view::npos || left.size() - end < 3)
            throw_decode_error("a tsvector ends inside a lexeme");
        result.text += i == 0 ? "'" : " '";
        for (const char c : left.substr(0, end))
            result.text.append(c == '\'' || c == '\\' ? 2 : 1, c);
        result.text += '\'';
        const std::size_t positions = load<std::uint16_t>(left.data() + end + 1);
        left.remove_prefix(end + 3);
        if (positions > most_positions || left.size() < 2 * positions)
            throw_decode_error("a tsvector ends inside its positions");
        unsigned before = 0;
        for (std::size_t p = 0; p < positions; ++p) {
            const unsigned word = load<std::uint16_t>(left.data() + 2 * p);
            const unsigned number = word & most_position;
            if (number <= before)
                throw_decode_error("the positions of a tsvector are not in ascending order");
            before = number;
            result.text += p == 0 ? ':' : ',';
            result.text += std::to_string(number);
            if (const unsigned weight = word >> 14; weight != 0)
                result.text += weights[weight];
        }
        left.remove_prefix(2 * positions);
    }
    if (count < 0 || !left.empty())
        throw_decode_error("the number of lexemes of a tsvector does not fit its bytes");
    return result;
}

} // namespace tenon::detail
