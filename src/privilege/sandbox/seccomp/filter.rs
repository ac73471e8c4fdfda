//! Compiles filters of system calls to programs for the kernel (BPF).
//!
//! A program finds the number of a call by a binary search: seven comparisons for a hundred calls. Since Linux 5.11
//! the kernel also remembers which calls are allowed whatever their arguments are, and then runs no program.
//! The kernel takes time for each instruction when it loads a program, so equal ends are shared.
//!
//! Crates for this do not know x32. On kernels with that ABI each call of x86_64 has a second number, which a
//! list of denied calls would have to repeat.
#![allow(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter, sock_fprog};

/// A condition on an argument of a call.
#[derive(Debug, Clone, Copy)]
pub enum If {
    /// The argument, masked, is this.
    Is(usize, u32, u32),
    /// The argument, a pointer, is not null.
    Given(usize),
}

/// How a call is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Allow,
    Fail(i32),
}

/// Answers a call when all conditions hold.
#[derive(Debug, Clone)]
pub struct Rule {
    call: c_long,
    when: Vec<If>,
    answer: Answer,
}

impl Rule {
    pub fn allow<const N: usize>(call: c_long, when: [If; N]) -> Self {
        Self { call, when: when.to_vec(), answer: Answer::Allow }
    }

    pub fn refuse<const N: usize>(call: c_long, when: [If; N], error: i32) -> Self {
        Self { call, when: when.to_vec(), answer: Answer::Fail(error) }
    }
}

/// How every call is answered.
#[derive(Debug)]
pub struct Policy {
    /// The first rule about a call whose conditions hold decides.
    pub rules: Vec<Rule>,
    /// The answer where none does.
    pub otherwise: Answer,
    /// The answer to calls from a number on: those of newer kernels.
    pub newer: Option<(c_long, Answer)>,
}

impl Policy {
    /// How many calls it has rules about.
    pub fn calls(&self) -> usize {
        self.rules.iter().map(|rule| rule.call).collect::<BTreeSet<_>>().len()
    }
}

/// A compiled policy.
#[derive(Debug)]
pub struct Filter(Vec<sock_filter>);

/// `AUDIT_ARCH_*` of linux/audit.h.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;

/// On x86_64, numbers from here on belong to x32. Other architectures have no numbers so high.
const X32: u32 = 0x4000_0000;
/// The number that a tracer sets for a call that is to be skipped.
const NO_CALL: u32 = u32::MAX;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const AND: u32 = libc::BPF_ALU | libc::BPF_AND | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;

/// An operation of prctl(2) that no kernel knows, and the error with which our filter answers it. So a process can
/// find out whether the filter is in force.
const QUESTION: i32 = 0x6570_6361;
const ANSWER: i32 = libc::EOWNERDEAD;

impl Filter {
    /// Compiles a policy to a program that also denies every call of another ABI.
    pub fn new(policy: &Policy) -> Self {
        let mut program = Backwards::default();
        program.choose(&segments(policy));
        program.put(&[
            statement(LOAD, offset_of!(seccomp_data, arch)),
            branch(IF_EQUAL, ARCHITECTURE, 1, 0),
            give(Answer::Fail(libc::EPERM)),
            statement(LOAD, offset_of!(seccomp_data, nr)),
        ]);
        program.0.reverse();
        Self(program.0)
    }

    /// Applies the filter to this process, for good.
    pub fn load(&mut self) -> io::Result<()> {
        let program = sock_fprog {
            len: u16::try_from(self.0.len()).map_err(io::Error::other)?,
            filter: self.0.as_mut_ptr(),
        };
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
        // SAFETY: the kernel copies the program, which lives until then, and checks it.
        match unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Whether our filter is in force, whatever the kernel reported.
pub fn answers() -> bool {
    // SAFETY: without a filter this is an invalid argument; nothing is changed.
    let answer = unsafe { libc::prctl(QUESTION, 0, 0, 0, 0) };
    answer == -1 && io::Error::last_os_error().raw_os_error() == Some(ANSWER)
}

/// The program for the calls from a number on, up to the next segment.
type Segment = (u32, Vec<sock_filter>);

/// Divides all numbers into segments, in ascending order.
fn segments(policy: &Policy) -> Vec<Segment> {
    let question = Rule::refuse(libc::SYS_prctl, [If::Is(0, u32::MAX, QUESTION as u32)], ANSWER);
    let mut calls: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in [&question].into_iter().chain(&policy.rules) {
        calls.entry(rule.call as u32).or_default().push(rule);
    }
    let mut segments: Vec<Segment> = Vec::new();
    let mut add = |first: u32, program: Vec<sock_filter>| {
        // A call whose number follows that of another.
        if segments.last().is_some_and(|(last, _)| *last == first) {
            segments.pop();
        }
        if !segments.last().is_some_and(|(_, last)| is_same(last, &program)) {
            segments.push((first, program));
        }
    };
    add(0, vec![give(policy.otherwise)]);
    for (number, rules) in &calls {
        add(*number, of_one_call(rules, policy.otherwise));
        add(number + 1, vec![give(policy.otherwise)]);
    }
    if let Some((first, answer)) = policy.newer {
        add(first as u32, vec![give(answer)]);
    }
    add(X32, vec![give(Answer::Fail(libc::EPERM))]);
    add(NO_CALL, vec![give(Answer::Allow)]);
    segments
}

/// A program that is written from its end to its beginning. All jumps lead forwards, to a place that is known by how
/// many instructions follow it, itself included.
#[derive(Default)]
struct Backwards(Vec<sock_filter>);

impl Backwards {
    /// How far back an equal end is looked for.
    const NEAR: usize = 200;

    /// Puts a part before the rest. Returns its place.
    fn put(&mut self, part: &[sock_filter]) -> usize {
        self.0.extend(part.iter().rev());
        self.0.len()
    }

    /// Finds the segment of a number.
    fn choose(&mut self, segments: &[Segment]) -> usize {
        if let [(_, program)] = segments {
            return self.end(program);
        }
        let (lower, upper) = segments.split_at(segments.len() / 2);
        let mut upper_at = self.choose(upper);
        let mut lower_at = self.choose(lower);
        // A jump under a condition leads over 255 instructions at most.
        for place in [&mut upper_at, &mut lower_at] {
            if self.skipped(*place) >= usize::from(u8::MAX) {
                *place = self.put(&[statement(JUMP, self.skipped(*place))]);
            }
        }
        let skipped = [upper_at, lower_at].map(|place| self.skipped(place) as u8);
        self.put(&[branch(IF_AT_LEAST, upper[0].0, skipped[0], skipped[1])])
    }

    /// The program of a segment, or an equal answer that is near.
    fn end(&mut self, program: &[sock_filter]) -> usize {
        let near = self.0.iter().enumerate().rev().take(Self::NEAR);
        match program {
            [answer] => near
                .filter(|(_, step)| key(step) == key(answer))
                .map(|(before, _)| before + 1)
                .next()
                .unwrap_or_else(|| self.put(program)),
            _ => self.put(program),
        }
    }

    /// How many instructions are between the next one that is put and a place.
    fn skipped(&self, place: usize) -> usize {
        self.0.len() - place
    }
}

fn is_same(one: &[sock_filter], other: &[sock_filter]) -> bool {
    one.iter().map(key).eq(other.iter().map(key))
}

fn key(step: &sock_filter) -> (u16, u8, u8, u32) {
    (step.code, step.jt, step.jf, step.k)
}

/// Decides about one call by all rules about it.
fn of_one_call(rules: &[&Rule], otherwise: Answer) -> Vec<sock_filter> {
    let mut body = Vec::new();
    for rule in rules {
        // Built from the last condition to the first: each jumps over what follows where it does not hold.
        let mut tested = vec![give(rule.answer)];
        for condition in rule.when.iter().rev() {
            let mut next = test(*condition, length(&tested));
            next.append(&mut tested);
            tested = next;
        }
        body.append(&mut tested);
        if rule.when.is_empty() {
            return body;
        }
    }
    body.push(give(otherwise));
    body
}

/// Continues where the condition holds; otherwise skips `skipped` instructions.
fn test(condition: If, skipped: u8) -> Vec<sock_filter> {
    match condition {
        If::Is(argument, mask, value) => vec![
            statement(LOAD, argument_at(argument)),
            statement(AND, mask as usize),
            branch(IF_EQUAL, value, 0, skipped),
        ],
        If::Given(argument) => vec![
            statement(LOAD, argument_at(argument)),
            branch(IF_EQUAL, 0, 0, 2),
            statement(LOAD, argument_at(argument) + 4),
            branch(IF_EQUAL, 0, skipped, 0),
        ],
    }
}

/// The offset of the lower half of an argument. Only pointers need the upper half as well.
fn argument_at(number: usize) -> usize {
    offset_of!(seccomp_data, args) + 8 * number
}

fn give(answer: Answer) -> sock_filter {
    let value = match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Fail(error) => libc::SECCOMP_RET_ERRNO | error as u32,
    };
    statement(RETURN, value as usize)
}

fn statement(code: u32, operand: usize) -> sock_filter {
    instruction(code, operand as u32, 0, 0)
}

fn branch(code: u32, operand: u32, when: u8, otherwise: u8) -> sock_filter {
    instruction(code, operand, when, otherwise)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// The length of a jump over `program`. A call has few conditions, so it fits.
fn length(program: &[sock_filter]) -> u8 {
    program.len() as u8
}

#[cfg(test)]
mod tests {
    use super::super::{allowed, denied, hook};
    use super::*;

    /// What the kernel would do.
    fn run(program: &[sock_filter], architecture: u32, call: u32, arguments: [u64; 6]) -> u32 {
        let load = |offset: usize| match offset {
            0 => call,
            4 => architecture,
            _ => {
                let argument = arguments[(offset - argument_at(0)) / 8];
                (if offset % 8 == 0 { argument } else { argument >> 32 }) as u32
            }
        };
        let (mut at, mut value) = (0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                LOAD => value = load(step.k as usize),
                AND => value &= step.k,
                JUMP => at += step.k as usize,
                RETURN => return step.k,
                code => {
                    let holds = if code == IF_EQUAL { value == step.k } else { value >= step.k };
                    at += usize::from(if holds { step.jt } else { step.jf });
                }
            }
        }
    }

    /// What the policy says, rule by rule.
    fn expected(policy: &Policy, call: u32, arguments: [u64; 6]) -> u32 {
        let holds = |condition: &If| match *condition {
            If::Is(argument, mask, value) => arguments[argument] as u32 & mask == value,
            If::Given(argument) => arguments[argument] != 0,
        };
        let decides = |rule: &&Rule| rule.call as u32 == call && rule.when.iter().all(holds);
        let rule = policy.rules.iter().find(decides).map(|rule| rule.answer);
        let is_known = policy.rules.iter().any(|rule| rule.call as u32 == call);
        let newer =
            policy.newer.filter(|(first, _)| call >= *first as u32 && !is_known).map(|(_, answer)| answer);
        give(match call {
            NO_CALL => Answer::Allow,
            X32.. => Answer::Fail(libc::EPERM),
            _ => rule.or(newer).unwrap_or(policy.otherwise),
        })
        .k
    }

    #[test]
    fn each_call_is_answered_as_the_policy_says() {
        let long = (0..900).map(|number| Rule::refuse(number * 2, [], number as i32 % 100)).collect();
        let long = Policy { rules: long, otherwise: Answer::Allow, newer: None };
        for policy in
            [allowed::to_a_job(), denied::to_a_program(), hook::to_a_hook(true), hook::to_a_hook(false), long]
        {
            let program = Filter::new(&policy).0;
            let values = policy.rules.iter().flat_map(|rule| &rule.when).map(|condition| match condition {
                If::Is(_, _, value) => u64::from(*value),
                If::Given(_) => 1 << 32,
            });
            for value in values.chain([0, 1, u64::MAX]) {
                for call in (0..2000).chain([X32 - 1, X32, X32 + 1, NO_CALL - 1, NO_CALL]) {
                    let arguments = [value; 6];
                    let found = run(&program, ARCHITECTURE, call, arguments);
                    assert_eq!(found, expected(&policy, call, arguments), "{call} {value:#x}");
                }
            }
            let of_another = run(&program, ARCHITECTURE + 1, 0, [0; 6]);
            assert_eq!(of_another, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
            let question = run(&program, ARCHITECTURE, libc::SYS_prctl as u32, [QUESTION as u64; 6]);
            assert_eq!(question, libc::SECCOMP_RET_ERRNO | ANSWER as u32);
        }
    }
}
