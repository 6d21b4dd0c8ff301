// expect: tenon: update needs a key
#include "user.hpp"

struct Note {
    std::string text;

    static constexpr auto table = tenon::table("notes");
};

void misuse(tenon::transaction& tx) {
    tenon::repository<Note>{tx}.update(1, col<&Note::text> = "a");
}
