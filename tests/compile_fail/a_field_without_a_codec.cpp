// expect: tenon: a field of this record has a type without a codec: specialise tenon::codec for it
#include "user.hpp"

struct Handle {
    void* pointer;

    static constexpr auto table = tenon::table("handles");
};

void misuse(tenon::transaction& tx) {
    (void)tenon::repository<Handle>{tx}.all();
}
