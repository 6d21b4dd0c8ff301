// One statement on a connection that serves nothing else: what listeners and elections stand on.
#pragma once

#include <libpq-fe.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

namespace tenon::detail {

struct clear {
    void operator()(PGresult* answer) const noexcept { PQclear(answer); }
};
using answer_ptr = std::unique_ptr<PGresult, clear>;

/// Runs `sql` with parameters in text form and takes the whole answer, which is in text form, too. `wait` waits until
/// the socket is ready for `events` (poll's) and tells what went wrong by throwing: the connection is of no use then.
/// The connection may have broken: see PQstatus, and `last_words_of`. Null when nothing came.
[[nodiscard]] answer_ptr ask(PGconn* on, const char* sql, std::span<const char* const> parameters,
                             const std::function<void(short events)>& wait);

/// Why a connection broke: in the server's words, where the answer holds some.
[[nodiscard]] std::string last_words_of(PGconn* on, const PGresult* answer);

} // namespace tenon::detail
