//! Waiting for descriptors up to a deadline.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A moment of the monotonic clock, which nobody can set.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment that is `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self(Instant::now() + limit)
    }

    /// Whether that moment has come.
    pub fn is_over(self) -> bool {
        self.0 <= Instant::now()
    }

    /// Waits until one of `descriptors` can be read or has ended, for at most `longest` and not beyond the
    /// deadline. Returns whether one is ready; a signal ends the wait, too.
    pub fn wait(self, descriptors: &[BorrowedFd<'_>], longest: Duration) -> io::Result<bool> {
        let left = self.0.saturating_duration_since(Instant::now()).min(longest);
        // Rounded up, so that the last millisecond is not spent in a loop.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
        let mut polled: Vec<PollFd<'_>> =
            descriptors.iter().map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN)).collect();
        match poll(&mut polled, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads a descriptor up to a deadline. After that, reading fails with `TimedOut`.
#[derive(Debug)]
pub struct ReadUntil<F> {
    descriptor: F,
    limit: Duration,
    deadline: Deadline,
}

impl<F: AsFd> ReadUntil<F> {
    /// Reads `descriptor` for `limit` from now.
    pub fn new(descriptor: F, limit: Duration) -> Self {
        Self { descriptor, limit, deadline: Deadline::after(limit) }
    }
}

impl<F: AsFd> Read for ReadUntil<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.deadline.is_over() {
            if self.deadline.wait(&[self.descriptor.as_fd()], self.limit)? {
                return Ok(rustix::io::read(&self.descriptor, buffer)?);
            }
        }
        let limit = self.limit.as_secs_f64();
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("it did not end within {limit} s")))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn what_has_an_end_is_read_to_its_end() {
        let (read, mut write) = UnixStream::pair().expect("two sockets");
        write.write_all(b"text").expect("room");
        drop(write);
        let mut text = String::new();
        ReadUntil::new(read, Duration::from_secs(20)).read_to_string(&mut text).expect("readable");
        assert_eq!(text, "text");
    }

    #[test]
    fn what_has_no_end_is_read_up_to_the_deadline() {
        let (read, mut write) = UnixStream::pair().expect("two sockets");
        let start = Instant::now();
        write.write_all(b"text").expect("room");
        let mut text = String::new();
        let limit = Duration::from_millis(50);
        let error = ReadUntil::new(read, limit).read_to_string(&mut text).expect_err("there is no end");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::TimedOut, "it did not end within 0.05 s")
        );
        assert!(start.elapsed() >= limit);
    }

    #[test]
    fn what_comes_slowly_for_ever_is_read_up_to_the_deadline() {
        let (read, mut write) = UnixStream::pair().expect("two sockets");
        let writer = std::thread::spawn(move || {
            while write.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let reader = ReadUntil::new(read, Duration::from_millis(50));
        let error = std::io::copy(&mut { reader }, &mut std::io::sink()).expect_err("there is no end");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        writer.join().expect("no panic");
    }
}
