//! What an acknowledgement says about the segments in flight: delivered, by the cumulative
//! acknowledgement or by SACK blocks; received twice; and how long the way took.

use netarium_base::{Duration, Instant};

use super::board::{Record, mark};
use crate::tcp::connection::Connection;
use crate::tcp::seq::Seq;

/// The news that an acknowledgement brings.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// The timestamp that it echoes.
    pub(crate) echo: Option<u32>,
    /// It carries data.
    pub(crate) has_data: bool,
    /// It may change the window.
    pub(crate) window_update: bool,
    /// SND.UNA moved.
    pub(crate) advanced: bool,
    /// It echoes a congestion mark.
    pub(crate) ece: bool,
    /// Segments acknowledged cumulatively.
    pub(crate) acked: u32,
    /// Segments were newly SACKed.
    pub(crate) sacked: bool,
    /// Of what was delivered some was sent once only, before recovery began.
    pub(crate) original: bool,
    /// Of what was acknowledged cumulatively some was sent more than once.
    pub(crate) copied: bool,
    /// It reports a duplicate that we caused.
    pub(crate) duplicate: bool,
    /// The duplicate is the tail loss probe.
    pub(crate) duplicate_probe: bool,
    /// A copy was found to be lost as well.
    pub(crate) lost_copy: bool,
    /// What watches over the flight starts again.
    pub(crate) rearm: bool,
    /// The peer threw away what it had SACKed.
    pub(crate) reneging: bool,
    /// When the first and the last of the segments acknowledged cumulatively were sent, if once.
    pub(crate) first_acked: Option<Instant>,
    pub(crate) last_acked: Option<Instant>,
    /// The same for newly SACKed ones.
    pub(crate) first_sacked: Option<Instant>,
    pub(crate) last_sacked: Option<Instant>,
    /// The lowest segment that was delivered late, behind later ones.
    pub(crate) late: Option<Seq>,
    /// The delivered segment that was sent last, by its turn; and what had been delivered when it
    /// was sent.
    pub(crate) latest: Option<u32>,
    pub(crate) prior_delivered: Option<u32>,
    /// The round trip of the newest segment delivered.
    pub(crate) rtt: Option<Duration>,
}

impl News {
    fn note_late(&mut self, start: Seq) {
        self.late = Some(self.late.map_or(start, |l| l.min(start)));
    }

    fn note_delivery(&mut self, r: &Record) {
        if self.latest.is_none_or(|turn| (r.turn.wrapping_sub(turn) as i32) > 0) {
            self.latest = Some(r.turn);
            self.prior_delivered = Some(r.delivered);
        }
    }
}

/// What is needed to judge a segment that was delivered.
struct View {
    now: Instant,
    high: Seq,
    highest: Seq,
    min_rtt: Option<Duration>,
}

impl Connection {
    /// Takes in the SACK blocks of an acknowledgement (RFC 2018 §5, RFC 2883 §5).
    pub(crate) fn take_sack(
        &mut self,
        now: Instant,
        ack: Seq,
        blocks: &[(Seq, Seq)],
        news: &mut News,
    ) {
        let duplicate = self.take_duplicate_report(ack, blocks, news);
        if self.rec.board.is_empty() {
            return;
        }
        let mut good = [(Seq(0), Seq(0)); 4];
        let mut count = 0;
        for (i, block) in blocks.iter().enumerate().take(4) {
            if self.is_believable(*block, duplicate && i == 0) {
                good[count] = *block;
                count += 1;
            }
        }
        let good = &mut good[..count];
        good.sort_unstable_by_key(|b| b.0.0.wrapping_sub(self.snd.una.0.wrapping_sub(1 << 31)));
        self.mark_sacked(now, good, news);
        if let (true, Some(block)) = (duplicate, blocks.first()) {
            self.take_duplicate_in_flight(*block, news);
        }
        self.rec.board.remember(good);
        let may_judge =
            self.rec.state != crate::tcp::info::CaState::Loss || self.rec.undo.marker.is_some();
        if let (Some(late), true) = (news.late.take(), may_judge) {
            self.saw_reordering(late);
        }
    }

    fn mark_sacked(&mut self, now: Instant, blocks: &[(Seq, Seq)], news: &mut News) {
        for block in blocks {
            let view = View {
                now,
                high: self.rec.high,
                highest: self.rec.board.highest_sacked(self.snd.una),
                min_rtt: self.rtt.min(),
            };
            let rec = &mut self.rec;
            let (board, rack) = (&mut rec.board, &mut rec.rack);
            let mut delivered = 0;
            board.sack(*block, |r| {
                delivered += 1;
                news.sacked = true;
                news.note_delivery(r);
                rack.delivered(r, view.now, view.min_rtt);
                if r.is(mark::COPIED) {
                    return;
                }
                if r.start.before(view.highest) {
                    news.note_late(r.start);
                }
                news.original |= r.end.at_or_before(view.high);
                news.first_sacked.get_or_insert(r.sent);
                news.last_sacked = Some(r.sent);
            });
            rec.delivered = rec.delivered.wrapping_add(delivered);
        }
    }

    /// Linux' reading of RFC 2018 §5: blocks above SND.UNA and below SND.NXT; those that report
    /// duplicates may lie below, within what the last recovery sent.
    fn is_believable(&self, (start, end): (Seq, Seq), duplicate: bool) -> bool {
        if end.after(self.snd.nxt) || !start.before(end) {
            return false;
        }
        if start.after(self.snd.una) {
            return true;
        }
        let (Some(marker), true) = (self.rec.undo.marker, duplicate) else { return false };
        if end.after(self.snd.una) {
            return false;
        }
        start.at_or_after(marker)
            || (end.after(marker) && start.at_or_after(end - self.snd.max_wnd))
    }

    /// Whether the first block reports a duplicate (RFC 2883 §4), and what that means.
    fn take_duplicate_report(&mut self, ack: Seq, blocks: &[(Seq, Seq)], news: &mut News) -> bool {
        let Some(&(start, end)) = blocks.first() else { return false };
        let inside = |b: &(Seq, Seq)| start.at_or_after(b.0) && end.at_or_before(b.1);
        if !start.before(ack) && !blocks.get(1).is_some_and(inside) {
            return false;
        }
        let len = end.ahead_of(start);
        if len == 0 || len > self.snd.max_wnd {
            return false;
        }
        let segments = len.div_ceil(self.snd.mss.max(1));
        if len <= self.snd.mss && self.rec.probe.is_some_and(|p| p.end == end) {
            news.duplicate_probe = true;
        }
        self.rec.duplicates = self.rec.duplicates.wrapping_add(segments);
        // Duplicates that the network made, not we, say nothing about our patience.
        if self.rec.duplicates > self.stats.total_retransmits {
            return false;
        }
        if self.rec.reordered > 0 && !news.duplicate_probe {
            self.rec.rack.saw_duplicate();
        }
        news.duplicate = true;
        let below = end.at_or_before(self.snd.una);
        if below && self.rec.undo.marker.is_some_and(|m| end.after(m)) {
            self.rec.undo.needless(segments);
        }
        true
    }

    /// The reported duplicate is of segments that are still on the board.
    fn take_duplicate_in_flight(&mut self, block: (Seq, Seq), news: &mut News) {
        let rec = &mut self.rec;
        let marker = rec.undo.marker;
        let undo = &mut rec.undo;
        rec.board.duplicate(block, |r| {
            if marker.is_some_and(|m| r.end.after(m)) {
                undo.needless(1);
            }
            if r.is(mark::SACKED) {
                news.note_late(r.start);
            }
        });
    }

    /// Takes off the board what is acknowledged up to SND.UNA.
    pub(crate) fn take_delivered(&mut self, now: Instant, news: &mut News, highest: Seq) {
        let (una, sack) = (self.snd.una, self.sack);
        while let Some(r) = self.rec.board.pop_acked(una) {
            news.acked += 1;
            if r.is(mark::COPIED) {
                news.copied = true;
            } else if !r.is(mark::SACKED) {
                news.first_acked.get_or_insert(r.sent);
                news.last_acked = Some(r.sent);
                news.note_late(r.start);
                news.original |= r.end.at_or_before(self.rec.high);
            }
            if !r.is(mark::SACKED) {
                news.note_delivery(&r);
                if sack {
                    self.rec.delivered = self.rec.delivered.wrapping_add(1);
                    if !self.is_spurious_copy(&r, news.echo) {
                        self.rec.rack.delivered(&r, now, self.rtt.min());
                    }
                }
            }
        }
        news.reneging = self.rec.board.head().is_some_and(|r| news.advanced && r.is(mark::SACKED));
        let sampled = self.sample_from(now, news);
        self.conclude_delivery(now, news, (highest, sampled));
    }

    fn conclude_delivery(
        &mut self,
        now: Instant,
        news: &mut News,
        (highest, sampled): (Seq, bool),
    ) {
        let late = news.late.take();
        if news.acked > 0 {
            news.rearm = true;
            if !self.sack {
                self.remove_plain(news.acked);
                // Which copy was acknowledged cannot be told.
                news.original &= !news.copied;
            } else if let Some(late) = late.filter(|l| l.before(highest)) {
                self.saw_reordering(late);
            }
        } else if let (true, Some(first), Some(head)) =
            (sampled, news.first_sacked, self.rec.board.head())
        {
            // The sample is of data sent after the head was last sent: the time-out is not put
            // off for ever while only later segments arrive.
            news.rearm = now.since(first) > now.since(head.sent);
        }
    }

    /// Takes an RTT sample: from segments sent once; else from the echoed timestamp (RFC 7323
    /// §4.1).
    fn sample_from(&mut self, now: Instant, news: &mut News) -> bool {
        let acked = news.first_acked.filter(|_| !news.copied);
        let mut sample = acked.or(news.first_sacked).map(|t| now.since(t));
        let newest = news.last_sacked.or(news.last_acked.filter(|_| !news.copied));
        news.rtt = newest.map(|t| now.since(t));
        if sample.is_none() && news.acked > 0 {
            sample = self.echoed_rtt(now, news.echo);
            news.rtt = sample;
        }
        let Some(sample) = sample else { return false };
        self.rtt.note_min(news.rtt.unwrap_or(sample), now);
        self.rtt.sample(sample, self.snd.una, self.snd.nxt);
        true
    }

    /// A sample from an echoed timestamp, of 1 ms at least, its grain.
    pub(crate) fn echoed_rtt(&self, now: Instant, echo: Option<u32>) -> Option<Duration> {
        let echo = echo.filter(|e| *e != 0 && !self.answers_a_copy(now, *e))?;
        let ms = self.timestamp(now).wrapping_sub(echo);
        (ms < 600_000).then(|| Duration::from_millis(ms.max(1).into()))
    }

    /// An old echo in an ACK that came long enough after a retransmission to be the answer to it:
    /// the first copy had arrived and its ACK was lost. RFC 7323 §5.3 lets the receiver echo the
    /// first copy's timestamp then, and the wait for our own timer would pass for a round trip.
    fn answers_a_copy(&self, now: Instant, echo: u32) -> bool {
        let (Some(resent), Some(min)) = (self.resent, self.rtt.min()) else { return false };
        self.echo_is_before(Some(echo), resent) && now.since(resent) >= min
    }

    /// Segments from `late` on arrived behind later ones: the reordering degree (RFC 4653's idea,
    /// as Linux measures it).
    pub(super) fn saw_reordering(&mut self, late: Seq) {
        let distance = self.rec.board.highest_sacked(self.snd.una).ahead_of(late);
        if distance == 0 {
            return;
        }
        let segments = distance.div_ceil(self.snd.mss.max(1));
        if segments > self.rec.reordering {
            self.rec.reordering = segments.min(self.config.max_reordering);
        }
        self.rec.reordered = self.rec.reordered.saturating_add(1);
    }
}
