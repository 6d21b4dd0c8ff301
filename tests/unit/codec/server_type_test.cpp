#include <tenon/codec/detail/server_type.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/codec/codecs.hpp>
#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

namespace {

struct Address {
    std::string street{};
    std::optional<std::int32_t> number{};
    static constexpr auto type = tenon::composite("address");
};

} // namespace

using namespace tenon;
using namespace tenon::tests;
using detail::server_type;

TEST_CASE("the server's OIDs go into arrays and composites at every depth") {
    const server_type street{.id = 11};
    const server_type number{.id = 12};
    const server_type address{.id = 13, .fields = {&street, &number}};
    const server_type addresses{.id = 14, .element = &address};

    buffer out;
    out.append("in front");
    codec<std::vector<std::optional<Address>>>::encode({Address{"a", 7}, std::nullopt, Address{"b"}}, out);
    detail::put_oids(out, 8, out.size() - 8, addresses);

    const std::string bytes(out.bytes());
    const auto oid_at = [&](std::size_t at) { return static_cast<oid>(detail::load<std::int32_t>(bytes.data() + at)); };
    CHECK(oid_at(8 + 8) == 13);
    const std::size_t first = 8 + 20 + 4 + 4; // header, length, number of fields
    CHECK(oid_at(first) == 11);
    CHECK(oid_at(first + 9) == 12);
    const std::size_t second = first + 9 + 12 + 4 + 8; // behind the NULL element
    CHECK(oid_at(second) == 11);
    CHECK(oid_at(second + 9) == 12);
}

TEST_CASE("a value of another form is told, not overwritten") {
    const server_type street{.id = 11};
    const server_type address{.id = 13, .fields = {&street}};
    buffer out;
    codec<Address>::encode({"a", 7}, out);
    CHECK_THROWS_AS(detail::put_oids(out, 0, out.size(), address), encode_error);
}
