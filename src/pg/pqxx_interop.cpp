#include <tenon/pg/pqxx_interop.hpp>

#include <optional>
#include <utility>

#include "session.hpp"
#include "session_access.hpp"

namespace tenon {

namespace {

// libpqxx's view of a transaction that tenon owns.
class borrowed_transaction final : public pqxx::dbtransaction {
public:
    explicit borrowed_transaction(pqxx::connection& on) : pqxx::dbtransaction(on) {}
    ~borrowed_transaction() override { close(); }

private:
    void do_commit() override { throw pqxx::usage_error("this transaction belongs to tenon: commit it there"); }
    void do_abort() override {} // tenon rolls back
};

// Adopts the session's PGconn and gives it up again before tenon closes it.
struct pqxx_session final : detail::session::companion {
    explicit pqxx_session(PGconn* raw) : connection(pqxx::connection::seize_raw_connection(raw)) {}
    ~pqxx_session() override {
        transaction.reset();
        (void)std::move(connection).release_raw_connection();
    }
    void end_transaction() noexcept override { transaction.reset(); }

    pqxx::connection connection;
    std::optional<borrowed_transaction> transaction;
};

} // namespace

pqxx::dbtransaction& as_pqxx(transaction& tx) {
    detail::session& session = session_access::of(tx);
    PGconn* const raw = session.lend_raw();
    if (!session.peer)
        session.peer = std::make_unique<pqxx_session>(raw);
    auto& peer = static_cast<pqxx_session&>(*session.peer);
    if (!peer.transaction)
        peer.transaction.emplace(peer.connection);
    return *peer.transaction;
}

} // namespace tenon
