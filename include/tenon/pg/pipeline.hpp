// Many statements in one round trip.
//
//     tx.pipeline([&](tenon::pipeline& p) {
//         ada   = p.find<User>(ada_id);
//         grace = p.insert(User{.email = "grace@example.org", .name = "Grace"});
//     });
//     std::cout << grace.get().id.value;
//
// Statements are sent as they are queued and answered at the end of the block (libpq's pipeline mode, manual
// section 34.5). Each gives a `pending` answer, to be asked after the block. When one fails, those behind it are
// not run, the transaction has failed, and the block throws the error of the first, with its number.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <utility>

#include <tenon/pg/result.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class transaction;
class parameters;
class pipeline;
template <class R, class Executor>
class repository; // above this layer: only named, so that `p.find<User>(id)` can be written

namespace detail {

class session;

/// Answers of one pipeline, in the order of its statements; shared by those who still wait for one.
struct pipeline_answers {
    std::deque<result> rows{};
    bool complete = false;
};

/// Throws usage_error: the block has not ended, or its statements were not run.
[[noreturn]] void throw_not_answered();

} // namespace detail

/// An answer that comes when the pipeline's block ends. Cheap to copy; decoded each time it is asked.
template <class T>
class pending {
public:
    /// Not an answer yet: assign one inside the block.
    pending() noexcept = default;

    /// Throws what the single statement would throw on decoding: row_not_found, decode_error; usage_error
    /// before the block has ended.
    [[nodiscard]] T get() const {
        if (!answers_ || !answers_->complete)
            detail::throw_not_answered();
        return decode_(answers_->rows[index_]);
    }

private:
    friend class pipeline;
    using decoder = T (*)(const result&);
    pending(std::shared_ptr<const detail::pipeline_answers> answers, std::size_t index, decoder decode) noexcept
        : answers_(std::move(answers)), index_(index), decode_(decode) {}

    std::shared_ptr<const detail::pipeline_answers> answers_;
    std::size_t index_ = 0;
    decoder decode_ = nullptr;
};

/// Given to the block of `transaction::pipeline`; used by its thread only.
class pipeline {
public:
    pipeline(const pipeline&) = delete;
    pipeline& operator=(const pipeline&) = delete;

    /// As the operations of `repository` of the same name.
    template <class R, class... Key>
    auto find(const Key&... key) {
        return repository<R, pipeline>(*this).find(key...);
    }
    template <class R, class... Key>
    auto get(const Key&... key) {
        return repository<R, pipeline>(*this).get(key...);
    }
    template <class R>
    auto insert(const R& row) {
        return repository<R, pipeline>(*this).insert(row);
    }
    template <class R>
    auto update(const R& row) {
        return repository<R, pipeline>(*this).update(row);
    }
    template <class R, class... Key>
    auto erase(const Key&... key) {
        return repository<R, pipeline>(*this).erase(key...);
    }

    /// Commits behind the last statement, in the same round trip. Nothing can be queued after it.
    void commit();

    /// Number of statements so far.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    template <class T>
    using answer = pending<T>;

    /// Queues a statement: what repositories stand on.
    template <class T>
    pending<T> run(const statement& what, parameters& values, T (*decode)(const result&)) {
        queue(what, values);
        return {answers_, size_ - 1, decode};
    }

private:
    friend class transaction;

    explicit pipeline(transaction& tx);
    ~pipeline();
    void queue(const statement& what, parameters& values);
    void finish();

    transaction& transaction_;
    detail::session& session_;
    std::shared_ptr<detail::pipeline_answers> answers_;
    std::size_t size_ = 0;
    bool commit_ = false;
};

} // namespace tenon
