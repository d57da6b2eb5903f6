//! `imagenet18 watch`: follows a run in the terminal.
//!
//! On a terminal, a dashboard is redrawn in place. Elsewhere, each lasting event gets a line. Only
//! the run's log is read, so the run does not notice.

mod dashboard;

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use console::Term;
use in18_record::{Event, Follower, Stamp, lasting_line};
use in18_report::{Run, State};

use crate::cli::WatchArgs;
use crate::logdir::metrics;
use crate::output;

/// Pause between two looks at the log.
const PAUSE: Duration = Duration::from_millis(500);

/// Follows a run until it ends; with `--once`, shows its present state.
pub fn watch(arguments: &WatchArgs) -> Result<()> {
    let name = dashboard::plain(&arguments.logdir.display().to_string());
    let path = if arguments.once { metrics(&arguments.logdir)? } else { wait_for(arguments)? };
    let mut follower = Follower::new(&path);
    let mut run = Run { name: name.clone(), ..Run::default() };
    let mut screen = Screen { term: Term::stdout(), drawn: 0 };
    let live = !arguments.once && screen.term.is_term();
    loop {
        let news = follower.poll()?;
        if news.restarted {
            run = Run { name: name.clone(), ..Run::default() };
        }
        for (stamp, event) in &news.events {
            run.add(*stamp, event);
        }
        let state = run.state(0.0, f64::INFINITY);
        if arguments.once {
            return output::print(&(dashboard::lines(&run, state, 100).join("\n") + "\n"));
        }
        if live {
            screen.draw(&dashboard::lines(&run, state, usize::from(screen.term.size().1)))?;
        } else {
            tell(&news.events)?;
        }
        if state != State::Running {
            return Ok(());
        }
        sleep(PAUSE);
    }
}

/// Waits for the log, and returns its path.
fn wait_for(arguments: &WatchArgs) -> Result<std::path::PathBuf> {
    let began = Instant::now();
    let mut told = false;
    loop {
        match metrics(&arguments.logdir) {
            Err(error) if began.elapsed().as_secs() >= arguments.wait => return Err(error),
            Err(_) if !told => {
                let (logdir, seconds) = (arguments.logdir.display(), arguments.wait);
                output::complain(&format!("Waiting up to {seconds} s for a run in {logdir}"));
                told = true;
            }
            Err(_) => sleep(PAUSE),
            found => return found,
        }
    }
}

/// Prints a line for each lasting event.
fn tell(events: &[(Stamp, Event)]) -> Result<()> {
    let lines = events.iter().filter_map(|(_, event)| lasting_line(event));
    let text: String = lines.map(|line| dashboard::plain(&line) + "\n").collect();
    if text.is_empty() { Ok(()) } else { output::print(&text) }
}

/// A terminal whose lines are redrawn in place.
struct Screen {
    term: Term,
    drawn: usize,
}

impl Screen {
    fn draw(&mut self, lines: &[String]) -> Result<()> {
        self.term.clear_last_lines(self.drawn)?;
        self.term.write_str(&(lines.join("\n") + "\n"))?;
        self.term.flush()?;
        self.drawn = lines.len();
        Ok(())
    }
}
