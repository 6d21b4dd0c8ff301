// A fence for what lies outside the leader's own database.
#pragma once

#include <string>
#include <string_view>

#include <tenon/election/fencing_token.hpp>

namespace tenon {

class transaction;

/// Stores the highest token that a resource has seen, in whichever database the guard's transaction is
/// (`tenon::install` makes its table there, too), and refuses lower ones. It learns of a new term from its first
/// request only, so a former leader is refused once its successor has been here.
class fence_guard {
public:
    explicit fence_guard(std::string_view resource) : resource_(resource) {}

    /// Lets the transaction go on if no higher token was seen; others for this resource wait until it ends.
    /// Throws fenced_out, also for another term of the same number.
    void admit(transaction& tx, const fencing_token& token) const;

private:
    std::string resource_;
};

} // namespace tenon
