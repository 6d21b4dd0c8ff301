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
// not run, the transaction has failed, and the block throws the error of the first, with its number. A block that
// throws by itself leaves what it has queued: those statements are run, and count if the transaction goes on and
// commits. Inside of the block the transaction can do nothing else: its statements, streams and savepoints, and those
// of its repositories, are usage errors there.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <tenon/pg/result.hpp>
#include <tenon/pg/row.hpp>
#include <tenon/pg/statement.hpp>

namespace tenon {

class transaction;
class parameters;
class pipeline;
template <class R, class Executor>
class repository; // above this layer: only named, so that `p.find<User>(id)` can be written

namespace detail {

class pipeline_guest;
struct pipeline_leave {
    void operator()(pipeline_guest* of) const noexcept;
};

/// The answer to one statement of a pipeline.
class pipeline_answer {
public:
    pipeline_answer() = default;
    pipeline_answer(const pipeline_answer&) = delete;
    pipeline_answer& operator=(const pipeline_answer&) = delete;
    virtual ~pipeline_answer() = default;
    /// Decodes it as soon as it is there, so that rows do not pile up.
    virtual void take(const result& rows) noexcept = 0;
};

template <class T>
class decoded_answer final : public pipeline_answer {
public:
    explicit decoded_answer(T (*decode)(const result&)) noexcept : decode_(decode) {}
    void take(const result& rows) noexcept override {
        try {
            const auto make = [&] { return decode_(rows); };
            value_.emplace(made_in_place{make});
        } catch (...) {
            failure_ = std::current_exception();
        }
    }
    [[nodiscard]] T& get() {
        if (failure_)
            std::rethrow_exception(failure_);
        return *value_;
    }

private:
    T (*decode_)(const result&);
    std::optional<T> value_;
    std::exception_ptr failure_;
};

/// Answers of one pipeline, in the order of its statements; shared by those who still wait for one.
struct pipeline_answers {
    std::vector<std::unique_ptr<pipeline_answer>> list{};
    bool complete = false;
};

/// Throws usage_error: the block has not ended, or its statements were not run.
[[noreturn]] void throw_not_answered();

} // namespace detail

/// An answer that comes when the pipeline's block ends. Cheap to copy: copies share the answer.
template <class T>
class pending {
public:
    /// Not an answer yet: assign one inside the block.
    pending() noexcept = default;

    /// Throws what the single statement would throw on decoding: row_not_found, decode_error; usage_error
    /// before the block has ended.
    [[nodiscard]] const T& get() const& { return answer(); }
    /// Moves the answer out, from under all copies.
    [[nodiscard]] T get() && { return std::move(answer()); }

private:
    friend class pipeline;
    pending(std::shared_ptr<const detail::pipeline_answers> answers, detail::decoded_answer<T>* own) noexcept
        : answers_(std::move(answers)), own_(own) {}

    [[nodiscard]] T& answer() const {
        if (!answers_ || !answers_->complete)
            detail::throw_not_answered();
        return own_->get();
    }

    std::shared_ptr<const detail::pipeline_answers> answers_;
    detail::decoded_answer<T>* own_ = nullptr;
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

    /// Commits behind the last statement, in the same round trip; in one of its own where the transaction has a
    /// deadline, which holds for the statements and not for COMMIT. Nothing can be queued after it.
    void commit();

    /// Number of statements so far.
    [[nodiscard]] std::size_t size() const noexcept { return answers_->list.size(); }

    template <class T>
    using answer = pending<T>;

    /// Queues a statement: what repositories stand on. What `decode` returns must not point into the result.
    template <class T>
    pending<T> run(const statement& what, parameters& values, T (*decode)(const result&)) {
        auto own = std::make_unique<detail::decoded_answer<T>>(decode);
        detail::decoded_answer<T>* const place = own.get();
        queue(what, values, std::move(own));
        return {answers_, place};
    }

private:
    friend class transaction;

    explicit pipeline(transaction& tx);
    ~pipeline();
    void queue(const statement& what, parameters& values, std::unique_ptr<detail::pipeline_answer> own);
    void finish();

    transaction& transaction_;
    std::unique_ptr<detail::pipeline_guest, detail::pipeline_leave> guest_;
    std::shared_ptr<detail::pipeline_answers> answers_;
    bool commit_ = false;
};

} // namespace tenon
