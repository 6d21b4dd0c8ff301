// Random values of every type go to the server and come back the same: as a parameter, in arrays, by COPY, and read as
// text by libpqxx. TENON_PROPERTY_ROUNDS sets how many of each (200), TENON_PROPERTY_SEED repeats a failure.
#include <cmath>
#include <cstdlib>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tenon/pg/pqxx_interop.hpp>
#include <tenon/pg/row.hpp>
#include <tenon/repository/repository.hpp>

#include "postgres/codec/random_values.hpp"
#include "support/database_fixture.hpp"

namespace {

enum class Mood { sad, ok, happy };

struct Address {
    std::string street{};
    std::optional<std::int32_t> number{};
    tenon::numeric rent{};
    std::vector<std::optional<std::string>> names{};

    static constexpr auto type = tenon::composite("address");
    friend bool operator==(const Address&, const Address&) = default;
};

struct Span {
    tenon::range<tenon::timestamp> during{};
    std::optional<tenon::json_text> note{};

    static constexpr auto type = tenon::composite("span");
    friend bool operator==(const Span&, const Span&) = default;
};

} // namespace

using namespace tenon;
using namespace tenon::tests;

template <>
struct tenon::tests::generator<Mood> {
    static Mood make(random_source& from) { return static_cast<Mood>(random_between(from, 0, 2)); }
};
template <>
struct tenon::tests::generator<Address> {
    static Address make(random_source& from) {
        return {random_value<std::string>(from), random_value<std::optional<std::int32_t>>(from),
                random_value<numeric>(from), random_value<std::vector<std::optional<std::string>>>(from)};
    }
};
template <>
struct tenon::tests::generator<Span> {
    static Span make(random_source& from) {
        return {random_value<range<timestamp>>(from), random_value<std::optional<json_text>>(from)};
    }
};

namespace {

std::uint64_t environment_number(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Equal, where NaN equals itself, too.
template <class T>
bool same(const T& a, const T& b) {
    if constexpr (std::floating_point<T>)
        return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
    else
        return a == b;
}
template <class T>
bool same(const std::optional<T>& a, const std::optional<T>& b) {
    return a.has_value() == b.has_value() && (!a || same(*a, *b));
}
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (const T x = a[i], y = b[i]; !same(x, y))
            return false;
    return true;
}
template <class T>
bool same(const array<T>& a, const array<T>& b) {
    return a.dimensions == b.dimensions && same(a.elements, b.elements);
}

/// The text of a value as C++ knows it, for types that have one: an opinion of its own about what the bytes mean.
template <class T>
concept has_own_text = std::integral<T> || std::same_as<T, numeric> || std::same_as<T, uuid> || std::same_as<T, inet> ||
                       std::same_as<T, std::string> || std::same_as<T, tsvector> || std::same_as<T, json_text>;

template <has_own_text T>
std::string own_text(const T& value) {
    if constexpr (std::same_as<T, bool>)
        return value ? "t" : "f";
    else if constexpr (std::integral<T>)
        return std::to_string(value);
    else if constexpr (requires { value.to_string(); })
        return value.to_string();
    else if constexpr (requires { value.text; })
        return value.text;
    else
        return value;
}

/// A row to copy.
template <class T>
struct Held {
    std::int32_t id{};
    T value{};
    std::vector<T> list{};

    static constexpr auto table = tenon::table("held_rows", tenon::key<&Held::id>);
};

/// One session, and the ways a value can take to the server and back. A new way is one more function here and one more
/// line in `survives_everywhere`.
struct round_trip : database_fixture {
    round_trip() {
        tx.execute("create type mood as enum ('sad', 'ok', 'happy');"
                   "create type address as (street text, number integer, rent numeric, names text[]);"
                   "create type span as (during tstzrange, note jsonb);"
                   "set local extra_float_digits = 1; set local timezone = 'UTC'");
    }

    template <class T>
    T ask(const std::string& sql, const auto& parameter) {
        parameter_list<1> values;
        values.add(parameter);
        using given = std::remove_cvref_t<decltype(parameter)>;
        const result rows = tx.execute(
            {.sql = sql, .parameters = shapes_of<given>, .results = shapes_of<T>, .hash = hash_of(sql)}, values);
        REQUIRE(rows.size() == 1);
        return decode_value<T>(rows, 0);
    }

    /// As a parameter and a result.
    template <class T>
    T as_parameter(const T& value, const std::string& type) {
        return ask<T>("select $1::" + type, value);
    }

    /// Sent by tenon, read as text by libpqxx.
    template <class T>
    std::string as_text(const T& value, const std::string& type) {
        tx.execute("create temporary table if not exists held (value " + type + ") on commit drop");
        tx.execute("insert into held (value) values ($1)", value);
        const std::string text = as_pqxx(tx).exec("delete from held returning value").one_field().c_str();
        tx.execute("drop table held");
        return text;
    }

    /// By COPY BINARY in and out, all at once.
    template <class T>
    std::vector<Held<T>> as_copy(const std::vector<Held<T>>& rows, const std::string& type) {
        tx.execute("create table held_rows (id integer primary key, value " + type + " not null, list " + type +
                   "[] not null)");
        repository<Held<T>> held{tx};
        REQUIRE(held.copy_in(rows) == rows.size());
        std::vector<Held<T>> back;
        for (const Held<T>& row : held.copy_out())
            back.push_back(row);
        return back;
    }

    transaction tx{db};
};

template <class T>
void survives_everywhere(const std::string& type) {
    const std::uint64_t seed = environment_number("TENON_PROPERTY_SEED", std::random_device{}());
    const std::uint64_t rounds = environment_number("TENON_PROPERTY_ROUNDS", 200);
    random_source random{seed};
    round_trip way;
    std::vector<Held<T>> rows;
    for (std::uint64_t round = 0; round < rounds; ++round) {
        INFO("type " << type << ", round " << round << ", TENON_PROPERTY_SEED=" << seed);
        const T value = random_value<T>(random);
        REQUIRE(same(way.as_parameter(value, type), value));
        const auto list = random_value<std::vector<T>>(random);
        REQUIRE(same(way.as_parameter(list, type + "[]"), list));
        const auto gaps = random_value<array<std::optional<T>>>(random);
        REQUIRE(same(way.as_parameter(gaps, type + "[]"), gaps));
        rows.push_back({static_cast<std::int32_t>(round), value, list});
        if (round % 4 == 0) { // the slower ways
            const std::string text = way.as_text(value, type);
            REQUIRE(same(way.ask<T>("select $1::text::" + type, text), value));
            if constexpr (has_own_text<T>)
                REQUIRE(text == own_text(value));
        }
    }
    INFO("type " << type << " by COPY, TENON_PROPERTY_SEED=" << seed);
    const std::vector<Held<T>> back = way.as_copy(rows, type);
    REQUIRE(back.size() == rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        INFO("row " << i);
        REQUIRE(back[i].id == rows[i].id);
        REQUIRE(same(back[i].value, rows[i].value));
        REQUIRE(same(back[i].list, rows[i].list));
    }
}

} // namespace

// clang-format off
TEMPLATE_TEST_CASE("random values survive the server", "",
                   bool, std::int16_t, std::int32_t, std::int64_t, float, double, numeric, std::string, bytes, uuid,
                   timestamp, local_timestamp, date, std::chrono::year_month_day, time_of_day, interval,
                   std::chrono::microseconds, inet, json_text, tsvector,
                   range<std::int32_t>, range<std::int64_t>, range<numeric>, range<timestamp>, range<local_timestamp>,
                   range<date>,
                   multirange<std::int32_t>, multirange<std::int64_t>, multirange<numeric>, multirange<timestamp>,
                   multirange<local_timestamp>, multirange<date>, Address, Span) {
    // clang-format on
    survives_everywhere<TestType>(std::string(codec<TestType>::type.name));
}

TEST_CASE("random enumerators survive PostgreSQL's own enum type") {
    survives_everywhere<Mood>("mood");
}
