#pragma once

/// A superuser's plain libpq connection, for what testing itself has to ask the server.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

namespace tenon::testing {

/// `text` with all but unreserved characters percent-encoded, for a connection URI.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// The connection string `url`, for another database of the same server. Throws: cluster_error when libpq cannot
/// read it.
[[nodiscard]] std::string with_database(const std::string& url, const std::string& database);

/// `url` without its passwords, to be shown.
[[nodiscard]] std::string without_password(const std::string& url);

class admin_session {
public:
    /// Throws: cluster_error when there is no connection; its message holds no password.
    explicit admin_session(const std::string& url);

    /// The first value of the answer; empty for NULL or no row. Throws: cluster_error when the server refuses.
    std::string query(const std::string& sql, const std::vector<std::string>& parameters = {});

    [[nodiscard]] int server_version() const noexcept { return PQserverVersion(connection_.get()); }
    [[nodiscard]] std::string quote(const std::string& identifier) const;

private:
    struct finish {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
    };
    std::unique_ptr<PGconn, finish> connection_;
};

} // namespace tenon::testing
