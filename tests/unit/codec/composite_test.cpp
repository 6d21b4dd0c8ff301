#include <tenon/codec/composite.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

namespace {

struct Address {
    std::string street{};
    std::optional<std::string> zip{};
    std::int32_t number{};
    static constexpr auto type = tenon::composite("address");
    friend bool operator==(const Address&, const Address&) = default;
};

struct Person {
    std::optional<Address> home{};
    std::vector<Address> others{};
    static constexpr auto type = tenon::composite("person");
    friend bool operator==(const Person&, const Person&) = default;
};

struct Foreign {
    std::int16_t small{};
};

struct With_a_field_called_type {
    std::string type{};
};

struct Glance {
    std::string_view text{};
    static constexpr auto type = tenon::composite("glance");
};

} // namespace

template <>
struct tenon::composite_mapping<Foreign> {
    static constexpr auto type = tenon::composite("app.foreign");
};

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("records nest, with NULL and in arrays") {
    const Address house{"Main Street", std::nullopt, 7};
    const Person person{house, {house, {"", "12345", -1}}};
    CHECK(there_and_back(person) == person);
    CHECK(there_and_back(Person{}) == Person{});
    CHECK(there_and_back(std::vector<std::optional<Address>>{house, std::nullopt}).size() == 2);
}

TEST_CASE("the wire form is PostgreSQL's: each field with its type") {
    CHECK(encoded(Address{"a", std::nullopt, 7}) == std::string("\0\0\0\3"
                                                                "\0\0\0\x19\0\0\0\1a"
                                                                "\0\0\0\x19\xFF\xFF\xFF\xFF"
                                                                "\0\0\0\x17\0\0\0\4\0\0\0\7",
                                                                33));
}

TEST_CASE("a struct gets its type by a member or by a trait") {
    CHECK(shape_of<Address>.type.name == "address");
    CHECK(shape_of<Foreign>.type.name == "app.foreign");
    CHECK(shape_of<std::vector<Address>>.type.name == "address[]");
    CHECK(shape_of<Address>.fields.size() == 3);
    CHECK(shape_of<Address>.fields[1]->nullable);
    STATIC_CHECK_FALSE(column_value<With_a_field_called_type>);
    STATIC_CHECK(borrowed_value<Glance>);
    STATIC_CHECK_FALSE(borrowed_value<Person>);
}

TEST_CASE("an error names the field, at every depth, and no value") {
    try {
        (void)encoded(Person{.others = {{std::string("hush\0hush", 9)}}});
        FAIL("accepted");
    } catch (const encode_error& refused) {
        const std::string message = refused.what();
        CHECK(message.find("Person::others: Address::street: ") == 0);
        CHECK(message.find("hush") == std::string::npos);
    }
    std::string bytes = encoded(Address{"a"});
    bytes.replace(8, 4, "\xFF\xFF\xFF\xFF"); // the street is NULL
    bytes.erase(12, 1);
    try {
        (void)decoded<Address>(bytes);
        FAIL("accepted");
    } catch (const decode_error& refused) {
        CHECK(std::string(refused.what()).find("Address::street: NULL") == 0);
    }
}

TEST_CASE(
    "an attribute of another built-in type is refused, a type of one's own is left to the check of the statement") {
    std::string bytes = encoded(Foreign{5});
    bytes.replace(4, 4, std::string("\0\0\0\x15", 4)); // int2
    CHECK(decoded<Foreign>(bytes).small == 5);
    bytes.replace(4, 4, std::string("\0\0\0\x19", 4)); // text
    CHECK_THROWS_AS(decoded<Foreign>(bytes), decode_error);
    bytes.replace(4, 4, std::string("\0\1\0\0", 4)); // a domain
    CHECK(decoded<Foreign>(bytes).small == 5);
}

TEST_CASE("malformed composites are refused") {
    const std::string whole = encoded(Person{Address{"a"}, {Address{"b"}}});
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(decoded<Person>(whole.substr(0, size)), decode_error);
    CHECK_THROWS_AS(decoded<Person>(whole + "x"), decode_error);
    CHECK_THROWS_AS(decoded<Foreign>(whole), decode_error);
    CHECK_THROWS_AS(codec<Person>::decode({}), decode_error);
}
