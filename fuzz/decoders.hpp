// Every decoder by name, with a few values of its type: what the fuzzers run on, and what their corpus is made of.
//
// A new codec gets a line in `all_decoders` and its samples below; CMake reads the names from here.
#pragma once

#include <chrono>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include <tenon/codec/codecs.hpp>
#include <tenon/codec/json.hpp>
#include <tenon/sql/table.hpp>

namespace tenon::fuzz {

enum class Colour { red, green, blue };

struct Address {
    std::string street{};
    std::optional<std::string> zip{};
    std::int32_t number{};
    std::vector<std::optional<std::int64_t>> codes{};

    static constexpr auto type = tenon::composite("address");

    friend bool operator==(const Address&, const Address&) = default;
};

struct Person {
    std::optional<Address> home{};
    Colour favourite{};

    static constexpr auto type = tenon::composite("person");

    friend bool operator==(const Person&, const Person&) = default;
};

/// Decoders of one family take bytes apart in the same way: a fuzzer gives each input to all of them.
template <literal Family, literal Name, class T>
struct decoder {
    static constexpr std::string_view family = Family.view();
    static constexpr std::string_view name = Name.view();
    using type = T;
};

// clang-format off: one decoder a line, as CMake reads them
using all_decoders = std::tuple<
    decoder<"fixed", "boolean", bool>,
    decoder<"fixed", "smallint", std::int16_t>,
    decoder<"fixed", "integer", std::int32_t>,
    decoder<"fixed", "bigint", std::int64_t>,
    decoder<"fixed", "real", float>,
    decoder<"fixed", "double", double>,
    decoder<"numeric", "numeric", numeric>,
    decoder<"text", "text", std::string>,
    decoder<"text", "text_view", std::string_view>,
    decoder<"text", "bytea", bytes>,
    decoder<"text", "bytea_view", bytes_view>,
    decoder<"fixed", "enum", Colour>,
    decoder<"fixed", "uuid", uuid>,
    decoder<"fixed", "timestamptz", timestamp>,
    decoder<"fixed", "timestamp", local_timestamp>,
    decoder<"fixed", "date", date>,
    decoder<"fixed", "year_month_day", std::chrono::year_month_day>,
    decoder<"fixed", "time", time_of_day>,
    decoder<"fixed", "interval", interval>,
    decoder<"fixed", "microseconds", std::chrono::microseconds>,
    decoder<"fixed", "inet", inet>,
    decoder<"json", "json", nlohmann::json>,
    decoder<"json", "json_text", json_text>,
    decoder<"text", "tsvector", tsvector>,
    decoder<"arrays", "integer_array", std::vector<std::int32_t>>,
    decoder<"arrays", "text_array", std::vector<std::optional<std::string>>>,
    decoder<"arrays", "boolean_array", std::vector<bool>>,
    decoder<"arrays", "any_array", array<std::optional<numeric>>>,
    decoder<"composites", "composite", Person>,
    decoder<"composites", "composite_array", std::vector<Address>>,
    decoder<"ranges", "int4range", range<std::int32_t>>,
    decoder<"ranges", "numrange", range<numeric>>,
    decoder<"ranges", "tstzrange", range<timestamp>>,
    decoder<"multiranges", "int8multirange", multirange<std::int64_t>>,
    decoder<"multiranges", "nummultirange", multirange<numeric>>,
    decoder<"ranges", "range_array", std::vector<range<date>>>>;
// clang-format on

/// Calls `visit.template operator()<Decoder>()` for every decoder.
template <class Visitor>
void for_each_decoder(Visitor visit) {
    [&]<class... Decoder>(std::tuple<Decoder...>*) {
        (visit.template operator()<Decoder>(), ...);
    }(static_cast<all_decoders*>(nullptr));
}

template <class T>
struct samples;

template <class T>
    requires std::integral<T>
struct samples<T> {
    static std::vector<T> values() {
        return {T{0}, T{1}, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
    }
};
template <>
struct samples<bool> {
    static std::vector<bool> values() { return {false, true}; }
};
template <class T>
    requires std::floating_point<T>
struct samples<T> {
    static std::vector<T> values() {
        using limits = std::numeric_limits<T>;
        return {T{0}, T{-1.5}, limits::max(), limits::denorm_min(), limits::infinity(), limits::quiet_NaN()};
    }
};
template <>
struct samples<numeric> {
    static std::vector<numeric> values() {
        std::vector<numeric> list{numeric::nan(), numeric::infinity(), numeric::minus_infinity()};
        for (const char* text : {"0", "0.00", "1.50", "-12345678.000090", "1e40", "1e-40", "10000", "0.0001"})
            list.push_back(numeric::parse(text).value());
        return list;
    }
};
template <>
struct samples<std::string> {
    static std::vector<std::string> values() { return {"", "plain", "gr\xC3\xBC\xC3\x9F", "'quoted' \\ \"twice\""}; }
};
template <>
struct samples<std::string_view> {
    static std::vector<std::string_view> values() { return {"", "plain"}; }
};
template <>
struct samples<bytes> {
    static std::vector<bytes> values() { return {{}, {std::byte{0}, std::byte{255}}}; }
};
template <>
struct samples<bytes_view> {
    static std::vector<bytes_view> values() {
        static constexpr std::array data{std::byte{0}, std::byte{255}};
        return {{}, data};
    }
};
template <>
struct samples<Colour> {
    static std::vector<Colour> values() { return {Colour::red, Colour::green, Colour::blue}; }
};
template <>
struct samples<uuid> {
    static std::vector<uuid> values() { return {{}, uuid::parse("018f4e9c-7a3b-7cde-8f01-23456789abcd").value()}; }
};
template <class Clock>
struct samples<std::chrono::time_point<Clock, std::chrono::microseconds>> {
    using time = std::chrono::time_point<Clock, std::chrono::microseconds>;
    static std::vector<time> values() {
        return {time{}, time{std::chrono::days{-20'000}} + std::chrono::microseconds{1}, infinity<time>,
                minus_infinity<time>};
    }
};
template <>
struct samples<date> {
    static std::vector<date> values() {
        return {date{}, date{std::chrono::days{-800'000}}, infinity<date>, minus_infinity<date>};
    }
};
template <>
struct samples<std::chrono::year_month_day> {
    static std::vector<std::chrono::year_month_day> values() {
        using namespace std::chrono_literals;
        return {2000y / 1 / 1, 1815y / 12 / 10, 9999y / 12 / 31};
    }
};
template <>
struct samples<time_of_day> {
    static std::vector<time_of_day> values() {
        using namespace std::chrono_literals;
        return {{}, {8h + 30min + 1us}, {24h}};
    }
};
template <>
struct samples<interval> {
    static std::vector<interval> values() {
        return {{}, {.months = 14, .days = -3, .microseconds = 1}, infinity<interval>, minus_infinity<interval>};
    }
};
template <>
struct samples<std::chrono::microseconds> {
    static std::vector<std::chrono::microseconds> values() {
        return {std::chrono::microseconds{0}, std::chrono::hours{-100}};
    }
};
template <>
struct samples<inet> {
    static std::vector<inet> values() {
        std::vector<inet> list;
        for (const char* text : {"192.0.2.1", "10.0.0.0/8", "2001:db8::1/64", "::", "::ffff:192.0.2.1"})
            list.push_back(inet::parse(text).value());
        return list;
    }
};
template <>
struct samples<nlohmann::json> {
    static std::vector<nlohmann::json> values() { return {nullptr, {{"a", {1, 2.5, "x"}}, {"b", {}}}}; }
};
template <>
struct samples<json_text> {
    static std::vector<json_text> values() { return {{}, {R"({"a": [1, 2.5, "x"]})"}}; }
};
template <>
struct samples<tsvector> {
    static std::vector<tsvector> values() {
        return {{}, {"'cat':3 'fat':2A,11B 'rat'"}, {R"('it''s' 'back\\slash':1)"}};
    }
};
template <>
struct samples<Address> {
    static std::vector<Address> values() { return {{}, {"Main Street", "12345", 7, {1, std::nullopt}}}; }
};
template <>
struct samples<Person> {
    static std::vector<Person> values() { return {{}, {.home = Address{.street = "x"}, .favourite = Colour::blue}}; }
};
template <class T>
struct samples<std::optional<T>> {
    static std::vector<std::optional<T>> values() {
        std::vector<std::optional<T>> list{std::nullopt};
        for (const auto& value : samples<T>::values())
            list.emplace_back(value);
        return list;
    }
};
template <class T>
struct samples<range<T>> {
    static std::vector<range<T>> values() {
        const auto of = samples<T>::values();
        return {{}, range<T>::none(), {.lower = of[0]}, {.upper = of[1], .upper_inclusive = true}, {of[0], of[1]}};
    }
};
template <class T>
struct samples<multirange<T>> {
    static std::vector<multirange<T>> values() { return {{}, {samples<range<T>>::values()}}; }
};
template <class T>
struct samples<std::vector<T>> {
    static std::vector<std::vector<T>> values() { return {{}, samples<T>::values()}; }
};
template <class T>
struct samples<array<T>> {
    static std::vector<array<T>> values() {
        auto six = samples<T>::values();
        six.resize(6);
        return {{}, {{{1, 5}}, {six[1]}}, {{{2, 1}, {3, -2}}, six}};
    }
};

} // namespace tenon::fuzz
