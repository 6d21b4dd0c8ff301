// expect: tenon: upsert needs a key, or unique columns
#include "user.hpp"

struct Note {
    std::string text;

    static constexpr auto table = tenon::table("notes");
};

void misuse(tenon::transaction& tx) {
    tenon::repository<Note>{tx}.upsert({.text = "a"});
}
