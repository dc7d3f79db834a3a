//! A ratatui backend over any writer: its size is told to it, a frame is one write, and a
//! frame without a change is no write at all.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

use super::color::ColorSupport;
use super::encode::Encoder;
use super::fence::FENCE;

const SYNC_BEGIN: &[u8] = b"\x1b[?2026h";
const SYNC_END: &[u8] = b"\x1b[?2026l";

/// Draws to `W` without ever asking a terminal anything.
#[derive(Debug)]
pub struct SizedBackend<W: Write> {
    writer: W,
    size: Size,
    synchronized: bool,
    fenced: bool,
    encoder: Encoder,
    frame: Vec<u8>,
    /// What the frame wants, and what the terminal has; unknown before the first frame.
    cursor_wanted: bool,
    cursor_shown: Option<bool>,
    position: Position,
    bytes_written: u64,
    frames_written: u64,
    /// How long the last write took.
    took: Duration,
}

impl<W: Write> SizedBackend<W> {
    /// A backend of `width` by `height` cells for a terminal with `colors`.
    pub fn new(writer: W, width: u16, height: u16, colors: ColorSupport) -> Self {
        Self {
            writer,
            size: Size { width, height },
            synchronized: false,
            fenced: false,
            encoder: Encoder::new(colors),
            frame: Vec::with_capacity(4096),
            cursor_wanted: false,
            cursor_shown: None,
            position: Position::ORIGIN,
            bytes_written: 0,
            frames_written: 0,
            took: Duration::ZERO,
        }
    }

    /// Wraps frames in synchronized output (DEC private mode 2026), so that a terminal that
    /// knows it never shows half a frame. Others ignore it.
    #[must_use]
    pub fn synchronized(mut self, on: bool) -> Self {
        self.synchronized = on;
        self
    }

    /// Puts a [`FENCE`] behind the next frame, if that writes anything.
    pub fn fence(&mut self, on: bool) {
        self.fenced = on;
    }

    /// Writes a question mark for what is not ASCII: on a terminal without UTF-8, other bytes
    /// are garbage, and some of them are control characters.
    #[must_use]
    pub fn ascii(mut self, only: bool) -> Self {
        self.encoder.ascii(only);
        self
    }

    /// Takes the terminal's new size; the next draw fills it.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.size = Size { width, height };
        self.encoder.forget();
    }

    /// Forgets what is known of the cursor, after someone else used the terminal. The caller
    /// clears and draws anew.
    pub fn forget(&mut self) {
        self.encoder.forget();
        self.cursor_shown = None;
    }

    /// Bytes handed to the writer so far.
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// Frames that wrote something so far.
    pub fn frames_written(&self) -> u64 {
        self.frames_written
    }

    /// How long the terminal took for the last frame that wrote something.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The writer.
    pub fn writer(&self) -> &W {
        &self.writer
    }

    /// The writer, for bytes that draw nothing (a bell, a clipboard sequence).
    pub fn writer_mut(&mut self) -> &mut W {
        &mut self.writer
    }
}

impl<W: Write> Backend for SizedBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.encoder.cells(&mut self.frame, self.size.width, content);
        Ok(())
    }

    fn append_lines(&mut self, count: u16) -> io::Result<()> {
        for _ in 0..count {
            self.frame.extend_from_slice(b"\r\n");
        }
        self.encoder.forget();
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.cursor_wanted = false;
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.cursor_wanted = true;
        Ok(())
    }

    /// Where the cursor was last put; the terminal is never asked.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(self.position)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.position = position.into();
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.clear_region(ClearType::All)
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.encoder.reset_pen(&mut self.frame);
        let erase: &[u8] = match region {
            ClearType::All => b"\x1b[2J",
            ClearType::AfterCursor => b"\x1b[J",
            ClearType::BeforeCursor => b"\x1b[1J",
            ClearType::CurrentLine => b"\x1b[2K",
            ClearType::UntilNewLine => b"\x1b[K",
        };
        self.encoder.erased();
        if region != ClearType::All {
            self.encoder.go_to(&mut self.frame, self.position.x, self.position.y);
        }
        self.frame.extend_from_slice(erase);
        Ok(())
    }

    fn size(&self) -> io::Result<Size> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size { width: 0, height: 0 } })
    }

    fn flush(&mut self) -> io::Result<()> {
        let drawn = !self.frame.is_empty();
        if drawn {
            self.encoder.reset_pen(&mut self.frame);
        }
        if self.cursor_wanted {
            self.encoder.go_to(&mut self.frame, self.position.x, self.position.y);
        }
        if self.cursor_shown != Some(self.cursor_wanted) {
            let mode: &[u8] = if self.cursor_wanted { b"\x1b[?25h" } else { b"\x1b[?25l" };
            self.frame.extend_from_slice(mode);
            self.cursor_shown = Some(self.cursor_wanted);
        }
        if self.frame.is_empty() {
            return Ok(());
        }
        if drawn && self.synchronized {
            self.frame.splice(0..0, SYNC_BEGIN.iter().copied());
            self.frame.extend_from_slice(SYNC_END);
        }
        if std::mem::take(&mut self.fenced) {
            self.frame.extend_from_slice(FENCE);
        }
        let begun = Instant::now();
        let result = self.writer.write_all(&self.frame).and_then(|()| self.writer.flush());
        self.took = begun.elapsed();
        self.bytes_written += self.frame.len() as u64;
        self.frames_written += 1;
        self.frame.clear();
        result
    }
}
