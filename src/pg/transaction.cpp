#include <tenon/pg/transaction.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include <tenon/pg/pool.hpp>

#include "session.hpp"

namespace tenon {

transaction::transaction(connection& on, const transaction_options& how) : session_(on.session_.get()) {
    if (session_ == nullptr)
        throw usage_error("transaction: this connection was moved from");
    session_->begin(how);
}

transaction::transaction(pool& from, const transaction_options& how, caller where)
    : leased_(how.deadline.count() > 0 ? from.acquire_within(how.deadline, where) : from.acquire(where)),
      session_(leased_->session_.get()) {
    session_->begin(how);
}

transaction::~transaction() {
    rollback();
}

void transaction::require_open() const {
    if (!open_)
        throw usage_error("this transaction has ended: begin another");
}

transaction::follows_session::~follows_session() {
    of.open_ = of.session_->transaction().is_open();
}

void transaction::commit() {
    require_open();
    {
        const follows_session in_any_case{*this};
        session_->commit();
    }
    committed();
}

void transaction::committed() {
    stored_ = true;
    id_ = session_->transaction().id();
    if (leased_) { // others may have it while the actions run
        session_ = nullptr;
        leased_.reset();
    }
    for (const auto& action : std::exchange(on_commit_, {}))
        action();
}

std::uint64_t transaction::id() const noexcept {
    return stored_ ? id_ : session_->transaction().id();
}

void transaction::set_local(std::string_view name, std::string_view value) {
    static constexpr statement what{.sql = "select pg_catalog.set_config($1, $2, true)",
                                    .operation = "set local",
                                    .parameters = shapes_of<std::string_view, std::string_view>};
    parameter_list<2> values;
    values.add(name);
    values.add(value);
    (void)execute(what, values);
}

void transaction::act_as_tenant(std::string_view tenant) {
    // Who may pass a policy by: manual, section 5.8.
    static constexpr statement what{
        .sql =
            "select pg_catalog.set_config('tenon.tenant', $1, true),"
            " coalesce((select rolname::pg_catalog.text from pg_catalog.pg_roles"
            "  where rolname operator(pg_catalog.=) current_user"
            "  and (rolsuper or rolbypassrls)), ''),"
            " coalesce((select pg_catalog.string_agg(oid::pg_catalog.regclass::pg_catalog.text, ', ' order by relname)"
            "  from pg_catalog.pg_class"
            "  where relrowsecurity and not relforcerowsecurity"
            "  and pg_catalog.pg_has_role(current_user, relowner, 'usage')), '')",
        .operation = "act as tenant",
        .parameters = shapes_of<std::string_view>,
        .results = shapes_of<std::string_view, std::string_view, std::string_view>};
    parameter_list<1> values;
    values.add(tenant);
    const result rows = execute(what, values);
    std::array<wire_value, 3> found;
    rows.row(0, found);
    if (const std::string_view role = found[1].bytes(); !role.empty())
        throw tenant_not_isolated("role " + std::string(role) +
                                  " passes row-level security by (superuser or BYPASSRLS): connect as another one");
    if (const std::string_view tables = found[2].bytes(); !tables.empty())
        throw tenant_not_isolated(
            "the role owns tables whose row-level security does not bind their owner: " + std::string(tables) +
            "; alter table ... force row level security, or connect as another role");
}

commit_state commit_status(transaction& tx, std::uint64_t id, std::chrono::milliseconds patience) {
    static constexpr statement what{
        .sql = "select coalesce(pg_catalog.pg_xact_status($1::pg_catalog.text::pg_catalog.xid8), '')",
        .operation = "commit status",
        .parameters = shapes_of<std::string>,
        .results = shapes_of<std::string_view>};
    if (id == 0)
        throw usage_error("commit_status needs the id of a transaction: begin it with transaction_options::keep_id");
    const auto until = detail::after(patience);
    for (auto pause = std::chrono::milliseconds(1);; pause = std::min(2 * pause, std::chrono::milliseconds(100))) {
        parameter_list<1> values;
        const std::string text = std::to_string(id);
        values.add(text);
        const result rows = tx.execute(what, values);
        std::array<wire_value, 1> answer;
        rows.row(0, answer);
        const std::string_view state = answer[0].bytes();
        if (state == "committed")
            return commit_state::committed;
        if (state == "aborted")
            return commit_state::rolled_back;
        if (state.empty())
            return commit_state::forgotten;
        if (std::chrono::steady_clock::now() + pause >= until)
            return commit_state::in_progress;
        (void)detail::blocking().sleep(detail::after(pause));
    }
}

namespace detail {

std::string_view pool_name_of(const connection& of) noexcept {
    return of.session_ ? of.session_->pool() : std::string_view();
}

observer* observer_of(const connection& of) noexcept {
    return of.session_ ? of.session_->told() : nullptr;
}

} // namespace detail

void transaction::rollback() noexcept {
    if (open_)
        session_->rollback();
    open_ = false;
}

std::uint64_t transaction::execute(std::string_view sql) {
    require_open();
    return session_->run_raw(sql).affected();
}

result transaction::execute(const statement& what, parameters& values) {
    require_open();
    return session_->execute(what, values);
}

} // namespace tenon
