// From what the server reports to the error that tenon throws.
#pragma once

#include <libpq-fe.h>

#include <cstddef>
#include <string>
#include <string_view>

#include <tenon/codec/shape.hpp>
#include <tenon/core/error.hpp>

namespace tenon::detail {

/// What was being done, for messages.
struct statement_context {
    std::string_view sql{};
    std::string_view operation = "statement"; ///< "insert into"
    const record_shape* record = nullptr;
    std::size_t number = 0; ///< in a pipeline, from 1
};

/// Line breaks and runs of blanks as single blanks: libpq's messages end in one and hold more.
[[nodiscard]] std::string one_line(std::string_view text);

/// "insert into users (record User)", in a pipeline with "statement 3 of the pipeline, " in front.
[[nodiscard]] std::string describe(const statement_context& context);

/// The same loss, of a COMMIT that was under way.
[[nodiscard]] connection_lost outcome_unknown(const connection_lost& lost, std::uint64_t transaction_id);

/// The properties that a failed result carries.
[[nodiscard]] error_properties properties_of(const PGresult* answer, const statement_context& context);

/// The server's sentence without the values that it quotes.
[[nodiscard]] std::string sentence_of(const PGresult* answer);

/// Throws the leaf of `tenon::error` for a failed result; the session is known to be alive.
[[noreturn]] void throw_server_error(const PGresult* answer, const statement_context& context);

} // namespace tenon::detail
