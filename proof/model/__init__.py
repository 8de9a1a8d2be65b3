"""The order protocol of dca as a small machine, every reachable state of which is looked at.

    python -m proof.model                     all variants, small budgets (seconds)
    python -m proof.model --budget full       as many faults as in the table of docs/reliability.md
    python -m proof.model --variant new-id    one, with its shortest counterexample

One cycle (a buy, perhaps a safety buy, the sell), main_app, a main_app that was overtaken by a newer one, a
caretaker, the exchange and the wire. Everything that is not one transaction or one request is a step of its
own, and any step may be followed by any other. Faults are drawn from a budget. In every state the class S
invariants hold (`invariants`); from every state the settled end is reachable without a further fault.

How a step maps to dca:

    a step of the model                         the code
    ------------------------------------------  ---------------------------------------------------------
    main writes down order n (T1)               Trader._place, Trader._claim, lifecycle.placed
      its commit's answer is lost, run again    Store.transaction, placing.written_before
      takes too long, and leaves it             Trader._place (SEND_WITHIN_SECONDS)
    main sends order n                          Trader._send, Broker.submit
    books the answer (T2)                       Bookkeeper.book, Bookkeeper._book, ledger.merge
    books the 403                               Bookkeeper.refused
    leaves order n in flight                    Trader._send (Unknown)
    looks order n up                            Bookkeeper.settle, Broker.order; after a duplicate as well
    books what it was told                      Bookkeeper.book; bookkeeper._has_to_go, Broker.cancel
    counts the denial                           Bookkeeper._count_denial
    writes down another attempt (T3)            Trader.settle, Trader._still_wanted, Bookkeeper.claim_resend
    gives order n up (void)                     Bookkeeper.give_up
    writes down that it has to be canceled      Trader.cancel (main_app and order_manager)
    main is told                                Worker._handle (Snapshot), Bookkeeper.book
    complete                                    Bookkeeper._move_on, lifecycle.book
    main starts; a second main starts           Application._check (next_epoch)
    the caretaker                               Checker._settle, order_cleanup.stale_buys and .stuck_sells

What is assumed, and where it is in the model:

    A1  an id is taken once                     exchange._landings          (variants a1, a1-a3)
    A2  what was taken is visible within QUIET  transactions.is_quiet       (variant a2)
    A3  a POST lands within QUIET, or never     transactions.is_quiet       (variants a3, no-void-403)
    a row lock holds from read to commit: a transaction is one step
    a POST leaves at once after its deadline was checked: nothing lies between the two

QUIET is the condition "no POST of that id is on the wire, or about to be, and what was taken is visible"; a
process that stands still for longer than that is a fault with a budget (stalls). The way out called `void`
rests on A2, A3 and the deadline before sending, and on nothing else: without it (variant no-void) neither is
needed as long as nothing is refused; a 403 that counts as final after an older attempt has expired rests on
A3 again (no-void-403).

A process that stands still for longer than QUIET in the wrong place is a fault of its own (variant stalls).
Two guards are for it alone, and the model found dca without them: a denial counts by when it was asked
(broken: stale-denial), and an order that is sent again has a deadline (broken: late-resend). rules.DCA says
what the code has; it is to be changed with it.

Not in the model: several assets, prices, fees, real time, people, a second caretaker at the same time.
"""
