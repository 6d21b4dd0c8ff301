// A COPY at work on its session, either way: what both have in common.
#pragma once

#include <optional>
#include <string_view>

#include "session.hpp"

namespace tenon::detail {

/// Signature, flags and the length of an empty header extension (manual, COPY, "Binary Format").
inline constexpr std::string_view copy_header("PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);

class copy_guest : public guest {
protected:
    copy_guest(session& on, const statement& what, const char* name)
        : guest((on.take_over(), on.seat()), name),
          session_(on),
          context_(session::context_of(what)),
          since_(on.now_if_told()) {}

    /// Sends the COPY statement, with `first` and what is due in front of it, and waits until the server is ready for
    /// it. Throws what the server says instead; the seat is free then.
    void start(const statement& what, std::string_view first, ExecStatusType expected);
    /// The end of it was answered: frees the seat, tells the observer, and throws what the server refused. Returns the
    /// number of rows.
    std::uint64_t conclude(pg_result_ptr answer);

    session& session_;
    statement_context context_;
    std::optional<exchange> exchange_{};

private:
    clock::time_point since_;
};

} // namespace tenon::detail
