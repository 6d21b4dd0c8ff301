/*
 * Leader election by a session's advisory lock, with a fencing token: a model for spin (spinroot.com).
 *
 * What is modelled. One PostgreSQL server: the sessions it has, the advisory lock that belongs to one of them, the
 * term row, and the transactions that hold this row FOR SHARE. Candidates, each with one dedicated session: they poll
 * for the lock, bump the term row, lead, resign, and begin again. Workers, each running one fenced transaction after
 * the other for a candidate that leads. A standby, and its promotion. Faults: processes that die, stop or are cut off,
 * sessions ended by the lease or by an administrator, lost notifications.
 *
 *                    lock free                 bump committed, reply read
 *      candidate ------------------> electing ---------------------------> leader
 *          ^                            |                                   |  | resign
 *          |       session lost         |       session lost, lapsed        |  v
 *          +----------------------------+<----------------------------------+ draining
 *          +<------------------------------------------ unlock, NOTIFY -------+
 *
 * The same candidate runs in three settings, since a property costs only what its setting has in it.
 *   (neither)   for safety. There is no clock: the server may end any session at any moment. That has every behaviour
 *               of a lease, of a crash and of pg_terminate_backend, and more; what holds here holds for all settings
 *               of lease, margin and grace, and for clocks that are wrong by any amount.
 *   TIMED       for what clocks promise. Time goes in ticks, and any number of them passes between any two steps, so
 *               stopped processes, partitions and slow networks need no steps of their own. No transactions: they
 *               only delay the bump, and ticks do that already. No promotion: it is the documented exception.
 *   PROGRESS    for progress under weak fairness. Faults come from a budget and end. Silence has a reason here (a
 *               process stopped, cut off or dead), and only the silent lose their lease.
 *
 * What is abstracted away, and why that is sound.
 *   - A stopped process is one that is not scheduled: every step may be delayed for as long as the search likes. In
 *     PROGRESS, where fairness would wake it, being stopped or cut off is a flag.
 *   - One statement is one step. The bump is an UPDATE that commits by itself. The fence is the transaction's first
 *     statement: when it has waited for a bump, READ COMMITTED compares the row's new version, and the higher levels
 *     raise a serialization failure, so it never passes on what it read before. A share lock is granted even when a
 *     bump is waiting, as PostgreSQL does.
 *   - What a transaction writes has no effect before the commit, so the write is no step.
 *   - A client that gives up its session while the server still has it: the same as a client that stays cut off until
 *     the server has ended it, since in between the lock is not free for anyone, including this client.
 *   - The server drains no queue: a statement on its way is a step not taken yet, and a reply that comes after the
 *     session's end is a step taken late.
 *   - Terms, promotions, faults and resignations are bounded. A fence compares one token with one row, so nothing
 *     depends on the distance between terms; the reaches_* runs show that the bounds leave room for what matters.
 *   - Only the new primary is modelled. An old primary that still accepts writes is out of scope, as documented.
 *
 * Each line below is one run, and one CTest: its name, whether the claim must hold or must fail, the claim, and the
 * settings. A claim that must fail shows that the model is able to fail: by a planted mistake (broken_*), or because
 * it denies that something interesting ever happens (reaches_*).
 *
 * run: one_writer                   holds  writes_in_order
 * run: broken_fence                 fails  writes_in_order      BROKEN_FENCE
 * run: broken_uuid                  fails  writes_in_order      BROKEN_UUID
 * run: ordered_terms                holds  terms_in_order
 * run: broken_timeline              fails  terms_in_order       BROKEN_TIMELINE
 * run: one_holder                   holds  one_holder           TIMED
 * run: broken_deadline              fails  one_holder           TIMED BROKEN_DEADLINE
 * run: broken_margin                fails  one_holder           TIMED MARGIN=0
 * run: progress                     holds  eventually_led       PROGRESS
 * run: broken_poll                  fails  eventually_led       PROGRESS BROKEN_POLL
 * run: broken_grace                 fails  eventually_led       PROGRESS BROKEN_GRACE
 * run: broken_drain                 fails  eventually_led       PROGRESS BROKEN_DRAIN
 * run: reaches_hand_overs           fails  no_hand_overs        REACH
 * run: reaches_promotion            fails  no_repeated_number   REACH
 * run: reaches_grace                fails  no_ended_transaction REACH
 * run: reaches_renewal              fails  no_renewal           TIMED REACH
 * run: reaches_lapse                fails  no_lapse             TIMED REACH
 * run: reaches_unseen_termination   fails  one_holder           TIMED UNSEEN_TERMINATION
 * run: reaches_the_end_of_faults    fails  never_led_after_all  PROGRESS REACH
 */

#define CANDIDATES 2
#define WORKERS 2
#define NOBODY CANDIDATES

/* --- settings ------------------------------------------------------------------------------------------------ */

#ifdef TIMED
#define TERMS 4             /* the lock is not taken any more when so many terms have been handed out */
#define PROMOTIONS 0
#define RESIGNATIONS 2
#else
#ifdef PROGRESS
#define TERMS 20            /* never reached: the budgets below end it */
#define PROMOTIONS 1
#define RESIGNATIONS 1
#define FAULTS 2
#else
#define TERMS 4
#define PROMOTIONS 1
#define RESIGNATIONS 2
#endif
#endif

#define LEASE 4             /* ticks */
#ifndef MARGIN
#define MARGIN 1            /* what a client's clock may lose against the server's in a lease, in ticks */
#endif

#ifdef BROKEN_POLL
#define poll_timer false    /* waits for a notification only */
#else
#define poll_timer true
#endif

#ifdef BROKEN_GRACE
#define grace_is_over false /* the bump waits for transactions for as long as they take */
#else
#define grace_is_over true
#endif

#ifdef BROKEN_DRAIN
#define drain_deadline false /* a resignation waits for its transactions for as long as they take */
#else
#define drain_deadline true
#endif

/* --- terms --------------------------------------------------------------------------------------------------- */

typedef Term { byte timeline; byte number; byte uuid };

#define before(a, b) (a.timeline < b.timeline || (a.timeline == b.timeline && a.number < b.number))

inline copy(to, from) { to.timeline = from.timeline; to.number = from.number; to.uuid = from.uuid }

inline forget(term) { term.timeline = 0; term.number = 0; term.uuid = 0 }

/* --- the server ---------------------------------------------------------------------------------------------- */

Term row;                       /* the term row as committed, and the server's own timeline */
Term newest_write;              /* of the accepted writes, the last in commit order */
Term standby_row;               /* what the standby has of both: always the state after some commit */
Term standby_write;
byte lock_of = NOBODY;          /* the session that has the advisory lock, by its candidate */
bool session[CANDIDATES];       /* the server has a session of this candidate */
bool notified[CANDIDATES];      /* this session has a notification that its client has not acted on */
bool sharing[WORKERS];          /* this worker's transaction is open and holds the row FOR SHARE */
bool open[WORKERS];             /* this worker's transaction is open */
byte uuids;                     /* uuids never come twice, whatever happens to rows */
byte promotions;

/* What the claims speak about. */
Term newest_term;               /* the last that was handed out, by any server */
bool write_out_of_order;
bool term_out_of_order;
#ifdef REACH
byte hand_overs;                /* leaders after the first */
bool led_before;
bool fenced_out;
bool written_after_fenced_out;
bool ended_by_grace;
bool number_repeated;           /* a promotion brought back a number that had been handed out */
bool written_after_repetition;
byte since_won[CANDIDATES];     /* ticks, up to 2 * LEASE */
bool lapsed;                    /* a leader's trust ended before the server ended its session */
bool led_after_lapse;
#define record(what) what
#else
#define record(what) skip
#endif

/* --- candidates, as others see them -------------------------------------------------------------------------- */

mtype = { candidate_, electing, leader, draining, gone };

mtype role[CANDIDATES] = candidate_;
Term token[CANDIDATES];
byte works_for[WORKERS] = NOBODY;
byte resignations;

#ifdef PROGRESS
bool silent[CANDIDATES];        /* stopped or cut off: nothing that it sends arrives, and it reads nothing */
#define able(c) (!silent[c] && role[c] != gone)
#else
#define able(c) true
#endif

#define leads(c) (role[c] == leader || role[c] == draining)
#define has_work(c) (works_for[0] == c || works_for[1] == c)
#define row_is_shared (sharing[0] || sharing[1])

/* --- time ---------------------------------------------------------------------------------------------------- */

#ifdef TIMED
byte idle[CANDIDATES];          /* server: ticks since it has seen a statement of this session */
byte since_sent[CANDIDATES];    /* client: ticks since it sent the statement that is under way */
byte since_acked[CANDIDATES];   /* client: ticks since it sent the last statement that was answered */
byte since_lost[CANDIDATES];    /* ticks since its clock lost one */

#define trusts(c) (leads(c) && since_acked[c] < LEASE - MARGIN)
#define lease_is_over(c) (idle[c] >= LEASE)
inline send(c) { since_sent[c] = 0 }
inline see(c) { idle[c] = 0 }
#ifdef BROKEN_DEADLINE
inline acknowledge(c) { since_acked[c] = 0 }                /* counts from when the answer arrived */
#else
inline acknowledge(c) { since_acked[c] = since_sent[c] }    /* counts from when the question was sent */
#endif
#else
#define trusts(c) leads(c)
inline send(c) { skip }
inline see(c) { skip }
inline acknowledge(c) { skip }
#endif

/* --- what the server does ------------------------------------------------------------------------------------ */

inline end_session(c)
{
    session[c] = false;
    notified[c] = false;
    if
    :: lock_of == c -> lock_of = NOBODY
    :: else
    fi
}

inline bump()
{
    row.number++;
    uuids++;
    row.uuid = uuids;
    term_out_of_order = term_out_of_order || !before(newest_term, row);
    record(number_repeated = number_repeated || row.number == newest_term.number);
    copy(newest_term, row)
}

/* The new primary has what the standby had, and nothing of the old one's sessions, locks and open transactions. */
inline promote()
{
    copy_to_new_timeline();
    end_session(0);
    end_session(1);
    end_transaction(0);
    end_transaction(1);
    promotions++
}

inline copy_to_new_timeline()
{
    row.number = standby_row.number;
    row.uuid = standby_row.uuid;
    copy(newest_write, standby_write);
#ifndef BROKEN_TIMELINE             /* the token's timeline comes from a place that still shows the old one */
    row.timeline++;
#endif
}

inline end_transaction(w) { open[w] = false; sharing[w] = false }

inline replicate() { copy(standby_row, row); copy(standby_write, newest_write) }

/* --- a candidate --------------------------------------------------------------------------------------------- */

/* Its session is gone, or it has given up its term and must begin with a session that has no lock. */
#define lost(c, expected) (!session[c] || role[c] != expected)

proctype candidate(byte me)
{
    Term won;
    bool sent, seen;            /* the heartbeat under way */

connecting:
    if
    :: atomic { able(me) && session[me] -> end_session(me) }; goto connecting
    :: atomic { able(me) && !session[me] -> session[me] = true; notified[me] = true; see(me) } /* polls at once */
    fi;

polling:
    if
    :: atomic {
            able(me) && session[me] && (poll_timer || notified[me]) ->
            notified[me] = false;
            see(me);
            if
            :: lock_of == NOBODY && uuids < TERMS -> lock_of = me; role[me] = electing
            :: else -> goto polling
            fi
        }
    :: able(me) && !session[me] -> goto connecting
    fi;

    /* The lock is won. The term is not: transactions of the term before may be about to commit. */
    atomic { able(me) -> send(me) };
bumping:
    if
    :: atomic { session[me] && !row_is_shared -> bump(); copy(won, row); see(me) }
    :: atomic {
            able(me) && session[me] && row_is_shared && grace_is_over ->
            end_sharing_transactions();
            record(ended_by_grace = true)
        };
        goto bumping
    :: able(me) && !session[me] -> goto stepping_down
    fi;
    if
    :: atomic {                 /* the answer; the session may have ended since it was sent */
            able(me) && role[me] == electing ->
            acknowledge(me);
            copy(token[me], won);
            forget(won);
            role[me] = leader;
            record_leader(me)
        }
    :: able(me) && lost(me, electing) -> goto stepping_down
    fi;

leading:
    do
#ifdef TIMED
    :: atomic { leads(me) && !sent -> sent = true; send(me) }
    :: atomic { sent && !seen && session[me] -> seen = true; see(me) }
    :: atomic { leads(me) && seen -> sent = false; seen = false; acknowledge(me) }
#endif
    :: atomic {
            able(me) && role[me] == leader && resignations < RESIGNATIONS ->
            resignations++;
            role[me] = draining /* its workers begin no transaction any more */
        }
    :: atomic { able(me) && role[me] == draining && (!has_work(me) || drain_deadline) -> role[me] = candidate_; break }
    :: able(me) && (!session[me] || !leads(me)) -> goto stepping_down
    od;
    sent = false;
    seen = false;
    if
    :: atomic { able(me) && session[me] -> lock_of = NOBODY; forget(token[me]); see(me) };
        if                      /* NOTIFY: it arrives, or not */
        :: notified[1 - me] = session[1 - me]
        :: skip
        fi;
        goto polling
    :: able(me) && !session[me]
    fi;

stepping_down:
    atomic { role[me] = candidate_; forget(won); forget(token[me]); sent = false; seen = false };
    goto connecting
}
