// The names and OIDs that codecs claim, against the server's catalog.
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <tenon/pg/row.hpp>

#include "fuzz/decoders.hpp"
#include "support/database_fixture.hpp"

using namespace tenon;
using namespace tenon::tests;

namespace {

void check_claim(transaction& tx, const value_shape& shape) {
    INFO(shape.cpp_type);
    const auto ask = [&](const char* sql) {
        parameter_list<1> values;
        const std::string name(shape.type.name);
        values.add(name);
        const result rows =
            tx.execute({.sql = sql, .parameters = shapes_of<std::string>, .results = shapes_of<std::int64_t>}, values);
        return static_cast<oid>(decode_value<std::int64_t>(rows, 0));
    };
    CHECK(ask("select $1::text::regtype::oid::bigint") == shape.type.id);
    if (shape.element == nullptr) {
        CHECK(ask("select typarray::bigint from pg_type where oid = $1::text::regtype") == shape.type.array_id);
    } else {
        CHECK(ask("select typelem::bigint from pg_type where oid = $1::text::regtype") == shape.element->type.id);
    }
}

template <class... T>
void check_claims(transaction& tx) {
    (check_claim(tx, shape_of<T>), ...);
}

} // namespace

TEST_CASE("every codec's type has the name, the OID and the array that the server's catalog has") {
    database_fixture t;
    transaction tx{t.db};
    fuzz::for_each_decoder([&]<class Decoder>() {
        if constexpr (codec<typename Decoder::type>::type.id != 0)
            check_claim(tx, shape_of<typename Decoder::type>);
    });
    check_claims<range<std::int64_t>, range<local_timestamp>, range<date>, multirange<std::int32_t>,
                 multirange<timestamp>, multirange<local_timestamp>, multirange<date>, std::vector<bool>,
                 std::vector<interval>, array<uuid>>(tx);
}

TEST_CASE("every OID that is known by a name is that type's") {
    database_fixture t;
    transaction tx{t.db};
    const std::pair<const char*, oid> named[] = {
        {"boolean", oids::boolean},   {"bytea", oids::bytea},       {"name", oids::name},
        {"bpchar", oids::bpchar},     {"varchar", oids::varchar},   {"xml", oids::xml},
        {"unknown", oids::unknown},   {"json", oids::json},         {"cidr", oids::cidr},
        {"json[]", oids::json_array}, {"cidr[]", oids::cidr_array}, {"tsvector[]", oids::tsvector_array},
    };
    for (const auto& [name, id] : named) {
        INFO(name);
        const std::string sql = "select 1 where '" + std::string(name) + "'::regtype::oid = " + std::to_string(id);
        CHECK(tx.execute(sql) == 1);
    }
}
