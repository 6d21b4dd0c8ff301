#include <tenon/pg/connection.hpp>

#include <string>

#include "pool_core.hpp"
#include "session.hpp"

namespace tenon {

void connection_options::validate() const {
    if (connect_timeout.count() <= 0)
        throw usage_error("connection_options::connect_timeout must be more than 0");
    if (response_timeout.count() < 0)
        throw usage_error("connection_options::response_timeout must not be negative; 0 waits for ever");
}

void connection::closer::operator()(detail::session* session) const noexcept {
    if (home != nullptr)
        home->give_back(session);
    else
        delete session;
}

connection::connection(std::string_view conninfo, const connection_options& options)
    : session_(new detail::session(std::string(conninfo), options), closer{}) {}

connection::connection(std::unique_ptr<detail::session, closer> session) noexcept : session_(std::move(session)) {}

connection::connection(connection&&) noexcept = default;
connection& connection::operator=(connection&&) noexcept = default;
connection::~connection() = default;

void connection::close() noexcept {
    if (session_)
        session_->close();
}

bool connection::is_open() const noexcept {
    return session_ && session_->is_open();
}
int connection::backend_pid() const noexcept {
    return session_ ? session_->backend_pid() : 0;
}
host_role connection::role() const noexcept {
    return session_ ? session_->role() : host_role::unknown;
}
int connection::server_version() const noexcept {
    return session_ ? session_->server_version() : 0;
}

} // namespace tenon
