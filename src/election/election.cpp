#include <tenon/election/election.hpp>

#include <unistd.h>

#include <array>
#include <charconv>
#include <utility>

#include <tenon/core/error.hpp>
#include <tenon/core/sqlstate.hpp>
#include <tenon/pg/detail/dedicated_session.hpp>

#include "candidacy.hpp"
#include "election_sql.hpp"

namespace tenon {

namespace {

using namespace std::chrono_literals;

std::string own_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0)
        host.front() = '\0';
    return std::string(host.data()) + "/" + std::to_string(::getpid());
}

election_options completed(election_options how, const std::string& conninfo) {
    how.validate();
    if (how.candidate.empty())
        how.candidate = own_name();
    if (how.margin == 0ms)
        how.margin = how.lease / 10;
    if (how.drain == 0ms)
        how.drain = how.lease;
    if (how.conninfo.empty())
        how.conninfo = conninfo;
    return how;
}

leader read_leader(const std::vector<std::string>& row) {
    leader found{.candidate = row.at(0), .token = {}, .since = {}};
    std::int64_t since = 0;
    const auto read = [](const std::string& text, auto& number) {
        std::from_chars(text.data(), text.data() + text.size(), number);
    };
    read(row.at(1), found.token.timeline);
    read(row.at(2), found.token.term);
    read(row.at(4), since);
    found.token.id = uuid::parse(row.at(3)).value_or(uuid{});
    found.since = timestamp(std::chrono::microseconds(since));
    return found;
}

} // namespace

void election_options::validate() const {
    const auto require = [](bool holds, const char* rule) {
        if (!holds)
            throw usage_error(std::string("election_options::") + rule);
    };
    require(lease >= 100ms && lease <= 1h, "lease must be 100 ms to 1 h");
    require(margin >= 0ms && 2 * margin < lease, "margin must be less than half the lease; 0 chooses a tenth of it");
    require(poll >= 5ms && 2 * poll <= lease, "poll must be 5 ms to half the lease");
    require(grace >= 1ms && 2 * grace <= lease, "grace must be 1 ms to half the lease");
    require(drain >= 0ms, "drain must not be negative; 0 chooses the lease");
    require(region.size() <= 200, "region must not be longer than 200 bytes");
    require(candidate.size() <= 200, "candidate must not be longer than 200 bytes");
}

struct election::state {
    std::shared_ptr<detail::election_settings> settings;
};

election::election(pool& db, std::string_view name, const election_options& how) {
    if (name.empty() || name.size() > 200)
        throw usage_error("election: a name has 1 to 200 bytes");
    // NOLINTNEXTLINE(modernize-make-shared): an aggregate
    std::shared_ptr<detail::election_settings> settings(
        new detail::election_settings{.db = db,
                                      .name = std::string(name),
                                      .how = completed(how, db.conninfo()),
                                      .told = detail::observer_of(db),
                                      .channel = detail::election_sql::channel_of(name, how.region)});
    state_ = std::make_unique<state>(state{std::move(settings)});
}

election::~election() = default;

std::optional<leadership> election::campaign(const std::stop_token& stop) {
    auto candidacy = std::make_shared<detail::candidacy>(state_->settings);
    if (!candidacy->win(stop))
        return std::nullopt;
    return leadership(std::move(candidacy));
}

std::optional<leader> election::current() {
    const detail::election_settings& settings = *state_->settings;
    return settings.db.transact({.read_only = true},
                                [&](transaction& tx) { return leader_of(tx, settings.name, settings.how.region); });
}

void election::observe(const std::stop_token& stop, const std::function<void(const std::optional<leader>&)>& told) {
    const detail::election_settings& settings = *state_->settings;
    detail::dedicated_session session(settings.session_options("tenon observer "));
    const std::stop_callback on_stop(stop, [&session] { session.abandon(); });
    std::optional<std::optional<leader>> known; // nothing was told yet
    while (!stop.stop_requested()) {
        std::optional<std::optional<leader>> seen;
        try {
            if (!session.is_open()) {
                session.open(stop);
                (void)session.ask(("listen " + settings.channel).c_str(), {}, boot_clock::now() + settings.how.lease);
            }
            const auto rows = session.ask(detail::election_sql::leader, {settings.how.region, settings.name},
                                          boot_clock::now() + settings.how.lease);
            seen = rows.empty() ? std::nullopt : std::optional(read_leader(rows.front()));
        } catch (const session_not_dedicated&) {
            throw;
        } catch (const error& failure) {
            if (failure.sqlstate() == sqlstate::insufficient_privilege)
                throw;
            if (failure.sqlstate() == "3F000" || failure.sqlstate() == sqlstate::undefined_table)
                throw schema_mismatch(
                    "election " + settings.name + ": its tables are missing in this database: call tenon::install once",
                    {.sqlstate = std::string(failure.sqlstate())}); // an outage: nothing is known until it is over
            session.close();
        }
        if (seen && seen != known) {
            known = seen;
            told(*seen);
        }
        (void)session.wait(boot_clock::now() + settings.how.poll);
        (void)session.take_notifications();
    }
}

} // namespace tenon
