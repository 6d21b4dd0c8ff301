// Who leads an election, and what is wished of its candidates.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <tenon/codec/chrono.hpp>
#include <tenon/election/fencing_token.hpp>

namespace tenon {

class transaction;

struct leader {
    std::string candidate;
    fencing_token token;
    timestamp since; ///< by the server's clock

    friend bool operator==(const leader&, const leader&) = default;
};

/// Who leads now, as the server knows it; nullopt when nobody does. Throws schema_mismatch without the tables.
[[nodiscard]] std::optional<leader> leader_of(transaction& tx, std::string_view name, std::string_view region = {});

/// How many candidates campaign or lead now.
[[nodiscard]] int candidates_of(transaction& tx, std::string_view name, std::string_view region = {});

/// Asks for a candidate to lead: once the transaction commits, the leader resigns in order and others hold back until
/// that one leads, for `patience` at most. Use it before maintenance, or to lead near the data. Returns false, and asks
/// nothing, when that candidate does not campaign or is excluded.
bool prefer(transaction& tx, std::string_view name, std::string_view candidate, std::chrono::milliseconds patience,
            std::string_view region = {});

/// A candidate that is excluded leads no more, and resigns if it does; `exclude(..., false)` lets it campaign again.
void exclude(transaction& tx, std::string_view name, std::string_view candidate, bool excluded = true,
             std::string_view region = {});

/// For a service that receives a token along with a request: the rest of the transaction is committed only if that
/// token's term is the election's last. Throws fenced_out when it is over, 40001 (which `transact` retries) when it
/// ends meanwhile at a higher isolation level. To be called before the transaction reads what it relies on.
void require_token(transaction& tx, std::string_view name, const fencing_token& token, std::string_view region = {});

} // namespace tenon
