// A whole round through an installed tenon: a record, a table, a row, on TENON_DATABASE_URL.
#include <cstdlib>
#include <iostream>
#include <string>

#include <tenon/tenon.hpp>

struct Note {
    tenon::id<Note> id{};
    std::string text;

    static constexpr auto table = tenon::table("notes", tenon::key<&Note::id>, tenon::generated<&Note::id>);
};

int main() {
    const char* url = std::getenv("TENON_DATABASE_URL");
    tenon::pool db{url != nullptr ? url : ""};
    db.transact([](tenon::transaction& tx) {
        tenon::create_table<Note>(tx);
        const Note stored = tenon::repository<Note>{tx}.insert({.text = "hello"});
        std::cout << "tenon " << tenon::version_string << ": " << stored.text << '\n';
    });
}
