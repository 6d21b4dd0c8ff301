#include "session_nemesis.hpp"

#include <array>
#include <exception>
#include <stop_token>
#include <utility>

namespace torture {

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

nemesis::nemesis(std::string url, tenon::testing::gate& gate, tally& found, heartbeat& pulse, const options& how)
    : url_(std::move(url)),
      gate_(gate),
      found_(found),
      pulse_(pulse),
      only_late_cancels_(how.only_late_cancels),
      random_(static_cast<std::minstd_rand::result_type>(how.seed % 2'147'483'646 + 1)) {
    if (only_late_cancels_)
        gate_.delay_cancels(4ms);
    worker_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

nemesis::cancel_soon::cancel_soon(nemesis& by, int pid) : request_(std::make_shared<request>(pid)) {
    const std::lock_guard lock(by.mutex_);
    by.requests_.push_back(request_);
}

nemesis::cancel_soon::~cancel_soon() {
    request_->withdrawn = true;
    request_->over.get_future().wait();
}

bool nemesis::explains_loss_of(int pid) {
    const std::lock_guard lock(mutex_);
    if (ended_pids_.contains(pid) || (pid == 0 && !ended_pids_.empty()))
        return true;
    if (unexplained_answers_ == 0)
        return false;
    --unexplained_answers_;
    return true;
}

void nemesis::work(const std::stop_token& stop) {
    try {
        tenon::connection admin{url_};
        while (!stop.stop_requested()) {
            pulse_.doing("serves requests");
            serve_requests(admin);
            pulse_.doing("does harm");
            if (!only_late_cancels_ && below(4) == 0)
                do_harm(admin);
            std::this_thread::sleep_for(1ms);
        }
        gate_.open();
    } catch (const std::exception& failure) {
        found_.note(broken::unexpected, std::string("the nemesis: ") + failure.what());
    }
    pulse_.rests();
}

void nemesis::serve_requests(tenon::connection& admin) {
    static constexpr tenon::query<bool, int, std::string> waits{
        "select coalesce(wait_event = 'PgSleep' and query = $2, false) from pg_stat_activity where pid = $1"};
    std::vector<std::shared_ptr<cancel_soon::request>> all;
    {
        const std::lock_guard lock(mutex_);
        all.swap(requests_);
    }
    std::erase_if(all, [&](const auto& one) {
        const bool over = one->withdrawn || admin.transact([&](tenon::transaction& tx) {
            const auto found = waits.first(tx, one->pid, std::string(waits_for_cancel));
            if (found && *found)
                tx.execute("select pg_cancel_backend($1)", one->pid);
            return !found || *found;
        });
        if (over)
            one->over.set_value();
        return over;
    });
    const std::lock_guard lock(mutex_);
    requests_.insert(requests_.end(), all.begin(), all.end());
}

void nemesis::end_a_backend(tenon::connection& admin) {
    static constexpr tenon::query<int, std::string> any{
        "select pid from pg_stat_activity where application_name = $1 order by random() limit 1"};
    const auto pid = admin.transact([](tenon::transaction& tx) { return any.first(tx, std::string(pool_name)); });
    if (!pid)
        return;
    {
        const std::lock_guard lock(mutex_);
        ended_pids_.insert(*pid);
    }
    admin.transact([&](tenon::transaction& tx) { tx.execute("select pg_terminate_backend($1, 30000)", *pid); });
    ++ended_;
}

void nemesis::do_harm(tenon::connection& admin) {
    constexpr std::array network{0ms, 0ms, 0ms, 0ms, 1ms, 2ms};
    constexpr std::array requests{0ms, 0ms, 1ms, 3ms, 10ms, 30ms};
    if (cancels_held_until_ != clock_type::time_point{} && clock_type::now() >= cancels_held_until_) {
        gate_.release_cancels();
        gate_.swallow_cancels(false);
        cancels_held_until_ = {};
    }
    if (swallows_since_ && gate_.wait_swallowed(0ms)) {
        swallows_since_.reset();
        ++swallowed_;
    }
    if (swallows_since_ && clock_type::now() - *swallows_since_ > 1s) { // its backend was ended before it answered
        swallows_since_ = clock_type::now();
        gate_.swallow_answer_to("commit");
    }
    const unsigned choice = below(100);
    if (choice < 20)
        end_a_backend(admin);
    else if (choice < 45)
        gate_.delay(network[below(network.size())]);
    else if (choice < 75)
        gate_.delay_cancels(requests[below(requests.size())]);
    else if (choice < 78 && cancels_held_until_ == clock_type::time_point{}) {
        gate_.hold_cancels();
        cancels_held_until_ = clock_type::now() + std::chrono::milliseconds(below(100));
    } else if (choice < 79 && below(10) == 0 && cancels_held_until_ == clock_type::time_point{}) {
        gate_.swallow_cancels();
        cancels_held_until_ = clock_type::now() + 20ms;
    } else if (choice < 84 && !swallows_since_) {
        {
            const std::lock_guard lock(mutex_);
            ++unexplained_answers_;
        }
        swallows_since_ = clock_type::now();
        gate_.swallow_answer_to("commit");
    }
}

} // namespace torture
