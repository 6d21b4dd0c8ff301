#include <tenon/codec/tsvector.hpp>

#include <catch2/catch_test_macros.hpp>

#include <tenon/core/error.hpp>

#include "wire_bytes.hpp"

using namespace tenon;
using namespace tenon::tests;

TEST_CASE("a tsvector is the text that PostgreSQL writes") {
    for (const char* text : {"", "'rat'", "'cat':3 'fat':2A,11B 'rat':16383C", R"('it''s' 'back\\slash':1)"})
        CHECK(there_and_back(tsvector{text}).text == text);
    CHECK(encoded(tsvector{"'a':1A"}) == std::string("\0\0\0\1a\0\0\1\xC0\1", 10));
    CHECK(there_and_back(tsvector{"  fat:2A  rat "}).text == "'fat':2A 'rat'");
}

TEST_CASE("other text is refused before it is sent") {
    for (const char* text :
         {"'", "'a", "''", "'a':", "'a':x", "'a':0", "'a':16384", "'a':2,1", "'a':1E", "'a'b", "a'b", ":1", R"('a\)"})
        CHECK_THROWS_AS(encoded(tsvector{text}), encode_error);
    CHECK_THROWS_AS(encoded(tsvector{std::string("'a\0b'", 5)}), encode_error);
}

TEST_CASE("malformed tsvectors are refused") {
    const std::string whole = encoded(tsvector{"'cat':3 'fat':2A,11B 'rat'"});
    for (std::size_t size = 0; size < whole.size(); ++size)
        CHECK_THROWS_AS(decoded<tsvector>(whole.substr(0, size)), decode_error);
    CHECK_THROWS_AS(decoded<tsvector>(whole + "x"), decode_error);
    CHECK_THROWS_AS(decoded<tsvector>("\x7F\xFF\xFF\xFF"), decode_error);
    CHECK_THROWS_AS(decoded<tsvector>("\xFF\xFF\xFF\xFF"), decode_error);
}
