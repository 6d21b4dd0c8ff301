// COPY ... TO STDOUT at work on its session.
#pragma once

#include <memory>

#include "copy_guest.hpp"

namespace tenon::detail {

struct pq_free {
    void operator()(char* bytes) const noexcept { PQfreemem(bytes); }
};

/// What COPY sent in one message; no bytes at its end.
struct copy_message {
    std::unique_ptr<char, pq_free> bytes{};
    int size = 0;
};

class copy_out_guest final : public copy_guest {
public:
    /// Throws schema_mismatch, unless every field has exactly its column's type: nothing is converted.
    copy_out_guest(session& on, const statement& what);

    [[nodiscard]] copy_message next_message();

private:
    void wind_up(clock::time_point until) override;
};

} // namespace tenon::detail
