/*
 * Leader election by an advisory lock, with a fencing token: a model for spin (spinroot.com).
 *
 * What is modelled. A PostgreSQL server: its sessions, the advisory lock that one of them has, the term row, the
 * transactions that share a lock which the next term needs for itself, a standby and its promotion. Two candidates,
 * each with a dedicated session: they poll for the lock, bump the term row, lead, resign, begin again. Workers that
 * run fenced transactions for whoever leads. Faults: processes that die, stop or are cut off, sessions ended by the
 * lease or by an administrator, notifications that are lost.
 *
 *              the lock is won              the bump's answer is read              resigns
 *     waiting -----------------> electing ----------------------------> leader -----------------> draining
 *        ^                          |                                     |                          |
 *        +--------------------------+-------------------------------------+--------------------------+
 *                       the session is lost, or the drain is over and the lock is given back
 *
 * The candidates run in three settings, so that a property pays only for what it is about.
 *   (none)     Safety. No clock: the server may end any session at any moment, and its client may notice late. This
 *              contains every lease, crash and pg_terminate_backend, so what holds here holds for any lease, margin
 *              and grace period, and for clocks that are wrong by any amount.
 *   TIMED      What clocks promise. Any number of ticks passes between two steps, so a process that is stopped, a
 *              partition and a slow network need no steps of their own. There are no transactions: they only delay a
 *              bump, which ticks do as well. There is no promotion: it is the documented exception. Terms have no
 *              numbers, so elections need no bound.
 *   PROGRESS   Progress under weak fairness. Faults come from a budget and so come to an end. Only a candidate that is
 *              stopped, cut off or dead loses its lease, and it has stepped down by its own clock before: that is what
 *              TIMED shows.
 *
 * What is left out, and why that is sound.
 *   - A stopped process is one that is not scheduled: any step may come as late as the search likes, a transaction's
 *     too. Only fairness would wake it, so PROGRESS has a flag for it.
 *   - A statement is one step. For the bump that is so since the UPDATE commits by itself. For the fence it is so
 *     since it is the transaction's first statement: when it has waited for a bump, READ COMMITTED looks at the row's
 *     new version and the higher levels fail, so none passes on what it saw before. As in PostgreSQL, a share lock is
 *     granted although a bump is waiting.
 *   - A transaction's writes have no step, since nobody sees them before the commit. One that is rolled back for some
 *     other reason is, for all others, one that never began.
 *   - A notification only makes a poll earlier, and a poll may come at any moment: where no progress is asked for, it
 *     is not there.
 *   - A client that abandons a session which the server still has is one that stays cut off until the server has ended
 *     it: the lock is taken meanwhile, so whatever this client tries in between is in vain. A process that dies and one
 *     that is started in its place are the same candidate.
 *   - Terms, promotions, faults and resignations are bounded. A fence compares a token with a row and nothing counts
 *     further back; the reaches_* runs show that the bounds leave room for what matters.
 *   - Only the new primary is there. An old one that still accepts writes is out of scope, as documented.
 *
 * Each line here is a run and a CTest: its name, whether the claim holds or fails, the claim, the settings. A claim
 * that must fail shows that the model can: by a planted mistake (broken_*), or by denying that something ever happens
 * which does (reaches_*).
 *
 * run: one_writer                   holds  writes_in_order
 * run: broken_fence                 fails  writes_in_order     BROKEN_FENCE
 * run: broken_uuid                  fails  writes_in_order     BROKEN_UUID
 * run: ordered_terms                holds  terms_in_order
 * run: broken_timeline              fails  terms_in_order      BROKEN_TIMELINE
 * run: one_holder                   holds  one_holder          TIMED
 * run: broken_deadline              fails  one_holder          TIMED BROKEN_DEADLINE
 * run: broken_margin                fails  one_holder          TIMED BROKEN_MARGIN
 * run: progress                     holds  led_in_the_end      PROGRESS
 * run: broken_poll                  fails  led_in_the_end      PROGRESS BROKEN_POLL
 * run: broken_grace                 fails  led_in_the_end      PROGRESS BROKEN_GRACE
 * run: broken_drain                 fails  led_in_the_end      PROGRESS BROKEN_DRAIN
 * run: reaches_two_hand_overs       fails  no_two_hand_overs   REACHES
 * run: reaches_a_repeated_number    fails  no_repeated_number  REACHES
 * run: reaches_an_ended_backend     fails  no_ended_backend    REACHES
 * run: reaches_a_renewed_lease      fails  no_renewed_lease    TIMED REACHES
 * run: reaches_a_lapsed_leader      fails  no_lapsed_leader    TIMED REACHES
 * run: reaches_two_holders_unseen   fails  one_holder          TIMED UNSEEN_TERMINATION
 * run: reaches_the_last_fault       fails  no_last_fault       PROGRESS REACHES
 */

/* --- settings ----------------------------------------------------------------------------------------------- */

#define CANDIDATES 2
#define NOBODY CANDIDATES

#ifdef PROGRESS
#define WORKERS 1           /* one that is stuck holds up a bump as well as two */
#define TERMS 99            /* the budgets below end it before */
#define FAULTS 2
#define RESIGNATIONS 1
#else
#define WORKERS 2
#define TERMS 4
#endif
#define PROMOTIONS 1

#define LEASE 4             /* ticks */
#ifdef BROKEN_MARGIN
#define MARGIN 0
#else
#define MARGIN 1            /* what a client's clock may lose against the server's in a lease */
#endif
#define LONG_AGO LEASE      /* where counters of ticks stop */

#ifdef BROKEN_POLL          /* waits for a notification only */
#define polls(c) notified[c]
#else
#define polls(c) true
#endif

#ifdef BROKEN_GRACE         /* a bump waits for as long as transactions take */
#define grace_is_over false
#else
#define grace_is_over true
#endif

#ifdef BROKEN_DRAIN         /* a resignation waits for as long as transactions take */
#define drain_is_over(c) (!has_work(c))
#else
#define drain_is_over(c) true   /* its deadline may have passed: no property needs the drain */
#endif

#ifdef BROKEN_FENCE         /* a plain SELECT: the row is compared, but not held until the commit */
#define row_is_shared false
#else
#define row_is_shared (open[0] || open[WORKERS - 1])
#endif

#ifdef BROKEN_UUID
#define passes_fence(term) (term.number == row.number)
#else
#define passes_fence(term) (term.uuid == row.uuid)
#endif

/* --- terms -------------------------------------------------------------------------------------------------- */

typedef Term { byte timeline; byte number; byte uuid };

#define before(a, b) (a.timeline < b.timeline || (a.timeline == b.timeline && a.number < b.number))

inline copy(to, from) { to.timeline = from.timeline; to.number = from.number; to.uuid = from.uuid }

inline forget(term) { term.timeline = 0; term.number = 0; term.uuid = 0 }

/* --- state: the server's ------------------------------------------------------------------------------------ */

Term row;                   /* the term row as committed; its timeline is the server's own */
Term newest_write;          /* the term of the last accepted write */
Term standby_row;           /* both as the standby has them: as they were after some commit */
Term standby_write;
byte uuids;                 /* how many have been drawn; none comes twice, whatever becomes of rows */
byte promotions;

byte lock_of = NOBODY;      /* whose session has the advisory lock */
bool session[CANDIDATES];
bool open[WORKERS];         /* this worker's transaction has passed the fence and has not ended */

/* --- state: the clients', as others can see it -------------------------------------------------------------- */

mtype = { waiting, electing, leader, draining, dead };

mtype role[CANDIDATES] = waiting;
Term token[CANDIDATES];
byte works_for[WORKERS] = NOBODY;

#define leads(c) (role[c] == leader || role[c] == draining)
#define is_leader(c) (role[c] == leader && lock_of == c)
#define has_work(c) (works_for[0] == c || works_for[WORKERS - 1] == c)

#ifdef PROGRESS
bool silent[CANDIDATES];    /* stopped or cut off: it does nothing, and nobody hears it */
bool notified[CANDIDATES];  /* its session has a notification that it has not acted on */
byte faults;
byte resignations;
#define able(c) (!silent[c] && role[c] != dead)
#define may_resign (resignations < RESIGNATIONS)
#else
#define able(c) true
#define may_resign true
#endif

/* --- state: clocks ------------------------------------------------------------------------------------------ */

#ifdef TIMED
byte idle[CANDIDATES];      /* server: ticks since it has seen a statement, of the session that has the lock */
byte sent[CANDIDATES];      /* client: ticks since it sent the statement that is under way */
byte answered[CANDIDATES];  /* client: ticks since it sent the last statement that has been answered */
byte steady[CANDIDATES];    /* ticks before this client's clock may lose another one */
#define trusts(c) (leads(c) && answered[c] < LEASE - MARGIN)
#endif

/* --- state: what only the claims ask for -------------------------------------------------------------------- */

Term newest_term;           /* the last one that a server has handed out */
bool write_out_of_order;
bool term_out_of_order;

#ifdef REACHES
byte hand_overs;            /* accepted writes of another term than the write before */
bool fenced_out;
bool met_its_number;        /* fenced out by a term of the same number */
bool ended_by_grace;
byte trusted_for;           /* ticks, candidate 0 */
#define record(what) what
#else
#define record(what) skip
#endif

/* --- the server's steps ------------------------------------------------------------------------------------- */

inline see_statement(c)
{
#ifdef TIMED
    idle[c] = 0
#else
    skip
#endif
}

/* NOTIFY: it may be lost. */
inline notify(c)
{
#ifdef PROGRESS
    if
    :: session[c] -> notified[c] = true
    :: skip
    fi
#else
    skip
#endif
}

inline set_notified(c, value)
{
#ifdef PROGRESS
    notified[c] = value
#else
    skip
#endif
}

inline begin_session(c)
{
    session[c] = true;
    set_notified(c, true)   /* a new session polls at once */
}

inline release_lock(c) { lock_of = NOBODY; see_statement(c) }

inline end_session(c)
{
    session[c] = false;
    set_notified(c, false);
    if
    :: lock_of == c -> release_lock(c)
    :: else
    fi
}

inline bump()
{
#ifdef TIMED
    skip
#else
    row.number++;
    uuids++;
    row.uuid = uuids;
#ifndef PROGRESS
    term_out_of_order = term_out_of_order || !before(newest_term, row);
    copy(newest_term, row)
#endif
#endif
}

inline commit(w, term)
{
#ifndef PROGRESS
    record(hand_overs = hand_overs + (newest_write.uuid != 0 && newest_write.uuid != term.uuid));
    write_out_of_order = write_out_of_order || before(term, newest_write);
    copy(newest_write, term);
#endif
    open[w] = false
}

inline end_transactions() { open[0] = false; open[WORKERS - 1] = false }

inline replicate() { copy(standby_row, row); copy(standby_write, newest_write) }

/* The standby's data, and nothing of the old server's sessions, locks and open transactions. */
inline promote()
{
    promotions++;
    row.number = standby_row.number;
    row.uuid = standby_row.uuid;
#ifndef BROKEN_TIMELINE     /* the token's timeline is read where the new one does not show yet */
    row.timeline++;
#endif
    copy(newest_write, standby_write);
    if
    :: promotions == PROMOTIONS -> forget(standby_row); forget(standby_write)
    :: else
    fi;
    end_session(0);
    end_session(1);
    end_transactions()
}

/* --- clocks' steps ------------------------------------------------------------------------------------------ */

#ifdef TIMED
inline send(c) { sent[c] = 0 }

inline trust_answer(c)
{
#ifdef BROKEN_DEADLINE      /* counts from when the answer came, not from when the question left */
    answered[c] = 0;
#else
    answered[c] = sent[c];
#endif
    sent[c] = LONG_AGO
}

inline advance(ticks) { ticks = (ticks < LONG_AGO -> ticks + 1 : LONG_AGO) }

/* A client's clock may lose one tick against the server's, and in the same LEASE ticks no other. */
inline tick(c)
{
    if
    :: lock_of == c -> advance(idle[c])
    :: else
    fi;
    if
    :: steady[c] == 0 -> steady[c] = LEASE - 1
    :: steady[c] = (steady[c] > 0 -> steady[c] - 1 : 0);
       advance(sent[c]);
       advance(answered[c])
    fi
}
#else
inline trust_answer(c) { skip }
#endif

/* --- a candidate -------------------------------------------------------------------------------------------- */

inline step_down(c)
{
    role[c] = waiting;
    forget(token[c]);
    forget(won);
#ifdef TIMED
    beating = false;
    beat_seen = false;
    sent[c] = LONG_AGO;
    answered[c] = LONG_AGO
#endif
}

inline resign(c)
{
    role[c] = draining;     /* its workers begin nothing any more */
#ifdef PROGRESS
    resignations++
#endif
}

proctype candidate(byte me)
{
    Term won;
#ifdef TIMED
    bool beating;           /* a heartbeat is under way, */
    bool beat_seen;         /* and the server has seen it */
#endif

connecting:
    if
    :: atomic { able(me) && session[me] -> end_session(me) }; goto connecting
    :: atomic { able(me) && !session[me] -> begin_session(me) }
    fi;

polling:
    if
    :: atomic {
        able(me) && session[me] && polls(me) ->
        set_notified(me, false);
        if
        :: lock_of == NOBODY && uuids < TERMS -> lock_of = me; role[me] = electing
        :: else -> goto polling
        fi
       }
    :: able(me) && !session[me] -> goto connecting
    fi;

    /* The lock is won, but no term: transactions of the one before may be about to commit. */
#ifdef TIMED
    send(me);
#endif
bumping:
    if
    :: atomic { session[me] && !row_is_shared -> bump(); copy(won, row); see_statement(me) }
    :: atomic {
        able(me) && session[me] && row_is_shared && grace_is_over ->
        end_transactions();
        record(ended_by_grace = true);
        goto bumping
       }
    :: atomic { able(me) && !session[me] -> step_down(me); goto connecting }
    fi;

    if
    :: atomic {             /* the answer is read; the session may have ended since it was sent */
        able(me) && role[me] == electing ->
        role[me] = leader;
        copy(token[me], won);
        forget(won);
        trust_answer(me)
       }
    :: atomic { able(me) && (!session[me] || role[me] != electing) -> step_down(me); goto connecting }
    fi;

    do
#ifdef TIMED
    :: atomic { leads(me) && !beating -> beating = true; send(me) }
    :: atomic { session[me] && beating && !beat_seen -> beat_seen = true; see_statement(me) }
    :: atomic { leads(me) && beat_seen -> beating = false; beat_seen = false; trust_answer(me) }
#endif
    :: atomic { able(me) && role[me] == leader && may_resign -> resign(me) }
    :: atomic { able(me) && role[me] == draining && drain_is_over(me) -> step_down(me) }; break
    :: atomic { able(me) && (!session[me] || !leads(me)) -> step_down(me); goto connecting }
    od;

    /* It gives the lock back after it has ceased to trust its term. */
    if
    :: atomic { able(me) && session[me] -> release_lock(me); notify(1 - me) }; goto polling
    :: able(me) && !session[me] -> goto connecting
    fi
}

/* --- a worker ----------------------------------------------------------------------------------------------- */

inline end_work(w, term) { works_for[w] = NOBODY; forget(term) }

proctype worker(byte me)
{
    Term mine;

beginning:
    atomic {                /* asks held() */
        if
        :: role[0] == leader -> works_for[me] = 0; copy(mine, token[0])
        :: role[1] == leader -> works_for[me] = 1; copy(mine, token[1])
        fi
    };
    atomic {
        if
        :: passes_fence(mine) -> open[me] = true
        :: else ->
            record(fenced_out = true);
            record(met_its_number = met_its_number || mine.number == row.number);
            end_work(me, mine);
            goto beginning
        fi
    };
#ifdef PROGRESS
    if
    :: skip
    :: skip; !open[me]      /* stuck, until its backend is ended */
    fi;
#endif
    atomic {
        if
        :: open[me] -> commit(me, mine)
        :: else             /* its backend has been ended */
        fi;
        end_work(me, mine);
        goto beginning
    }
}

/* --- what happens to them ----------------------------------------------------------------------------------- */

#ifdef TIMED
proctype time()
{
    do
    :: atomic {
        tick(0);
        tick(1);
        record(trusted_for = (trusts(0) -> trusted_for + (trusted_for < LEASE) : 0))
       }
    od
}

inline lose_session(c)
{
    if
    :: idle[c] >= LEASE -> end_session(c)
    :: role[c] = waiting; end_session(c)    /* the process is dead, or reads the server's FATAL at once */
#ifdef UNSEEN_TERMINATION                   /* ended by an administrator while its client is stopped or cut off */
    :: end_session(c)
#endif
    fi
}

proctype trouble()
{
    do
    :: atomic { session[0] -> lose_session(0) }
    :: atomic { session[1] -> lose_session(1) }
    od
}
#endif

#ifdef PROGRESS
inline fall_silent()
{
    if
    :: silent[0] = true
    :: silent[1] = true
    :: role[0] = dead       /* or silent for good */
    :: role[1] = dead
    fi
}

proctype trouble()
{
    do
    :: atomic { faults < FAULTS && session[0] -> faults++; end_session(0) }     /* by an administrator */
    :: atomic { faults < FAULTS && session[1] -> faults++; end_session(1) }
    :: atomic { faults < FAULTS && able(0) && able(1) -> faults++; fall_silent() }
    :: atomic { faults < FAULTS && promotions < PROMOTIONS -> faults++; promote() }
    :: atomic { promotions < PROMOTIONS -> replicate() }
    :: silent[0] -> silent[0] = false
    :: silent[1] -> silent[1] = false
    od
}

/* The client's clock comes first. A bump that waits is no idle session: there statement_timeout has to end it. */
inline lapse(c)
{
    if
    :: leads(c) -> role[c] = waiting
    :: else -> end_session(c)
    fi
}

/* A process of its own, since fairness is one for processes, and this has to happen. */
proctype leases()
{
    do
    :: atomic { !able(0) && (leads(0) || session[0]) -> lapse(0) }
    :: atomic { !able(1) && (leads(1) || session[1]) -> lapse(1) }
    od
}
#endif

#ifndef TIMED
#ifndef PROGRESS
proctype trouble()
{
    do
    :: atomic { session[0] -> end_session(0) }
    :: atomic { session[1] -> end_session(1) }
    :: atomic { promotions < PROMOTIONS -> replicate() }
    :: atomic { promotions < PROMOTIONS -> promote() }
    od
}
#endif
#endif

init {
    atomic {
        row.timeline = 1;
        standby_row.timeline = 1;
        run candidate(0);
        run candidate(1);
        run trouble();
#ifdef TIMED
        run time()
#else
        run worker(0);
#ifdef PROGRESS
        run leases()
#else
        run worker(1)
#endif
#endif
    }
}

/* --- claims ------------------------------------------------------------------------------------------------- */

/* Once a write of a later term is committed, none of an earlier term is accepted. The order is that of the history
   that survives: what a promotion has lost was never there. */
ltl writes_in_order { [] !write_out_of_order }

/* Each term that a server hands out comes after all before it, by (timeline, number): they are unique and ordered. */
ltl terms_in_order { [] !term_out_of_order }

/* From some moment on there is always a leader. Every execution has a last fault and a last resignation, since both
   are bounded: so after them somebody becomes leader, and stays it. At any time one candidate is neither dead nor
   silent. */
ltl led_in_the_end { <> [] (is_leader(0) || is_leader(1)) }

#ifdef TIMED
/* No two candidates trust their terms at once: this is held(), read off both processes at the same moment. A session
   that ends before its lease while its client is stopped or cut off is the exception, whoever ends it: an
   administrator, a restart, the server's own TCP timeouts (reaches_two_holders_unseen). Against that there is the
   fence alone. */
ltl one_holder { [] !(trusts(0) && trusts(1)) }
#endif

#ifdef REACHES
/* Writes of three terms are accepted without a promotion, and a transaction is fenced out. */
ltl no_two_hand_overs { [] !(hand_overs >= 2 && fenced_out && promotions == 0) }

/* A promotion brings a number back, and a transaction of the lost term meets it: only the uuid tells them apart. */
ltl no_repeated_number { [] !met_its_number }

/* A bump is held up, ends the backend in its way, and the new leader writes after the old one. */
ltl no_ended_backend { [] !(ended_by_grace && hand_overs >= 1) }

#ifdef TIMED
/* Heartbeats carry a leader past its first lease. */
ltl no_renewed_lease { [] !(trusted_for >= LEASE) }

/* A leader that has not noticed its session's end has lapsed by its own clock, and the other one leads. */
ltl no_lapsed_leader { [] !(role[0] == leader && !session[0] && trusts(1)) }
#endif

#ifdef PROGRESS
/* All budgets are used up, one candidate is dead or silent, and the other one leads. */
ltl no_last_fault {
    [] !(faults == FAULTS && promotions == PROMOTIONS && resignations == RESIGNATIONS && !able(0) && is_leader(1))
}
#endif
#endif
