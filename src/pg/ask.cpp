#include "ask.hpp"

#include <poll.h>

#include <utility>

#include "server_error.hpp"

namespace tenon::detail {

answer_ptr ask(PGconn* on, const char* sql, std::span<const char* const> parameters,
               const std::function<void(short)>& wait) {
    const int sent = parameters.empty() ? PQsendQuery(on, sql)
                                        : PQsendQueryParams(on, sql, static_cast<int>(parameters.size()), nullptr,
                                                            parameters.data(), nullptr, nullptr, 0);
    if (sent != 1)
        return nullptr;
    while (PQflush(on) == 1) { // reading meanwhile, or both sides might wait for the other
        wait(POLLIN | POLLOUT);
        (void)PQconsumeInput(on);
    }
    answer_ptr answer;
    for (;;) {
        while (PQisBusy(on) == 1) {
            wait(POLLIN);
            if (PQconsumeInput(on) != 1)
                break; // PQgetResult tells
        }
        answer_ptr next(PQgetResult(on));
        if (!next)
            return answer;
        if (!answer || PQresultStatus(answer.get()) != PGRES_FATAL_ERROR) // the first failure is the cause
            answer = std::move(next);
    }
}

std::string last_words_of(PGconn* on, const PGresult* answer) {
    const std::string sentence = answer != nullptr ? sentence_of(answer) : std::string();
    return sentence.empty() ? one_line(PQerrorMessage(on)) : sentence;
}

} // namespace tenon::detail
