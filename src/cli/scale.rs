//! `clusterctl scale`.

use super::{Site, Ui, control, show};
use crate::error::Error;
use crate::ops::{self, Scaling};

/// Change the number of instances of an app
///
/// The highest numbers go first, drained. The number survives a reboot; the next `clusterctl apply`
/// follows its file again and says so.
#[derive(Debug, clap::Args)]
pub(super) struct ScaleArgs {
    /// The app
    #[arg(add = super::complete::names())]
    pub(super) app: String,
    /// The number of instances, or how many more or fewer: `4`, `+2`, `-1`
    #[arg(allow_hyphen_values = true, value_name = "N|+N|-N", value_parser = change)]
    number: Scaling,
}

fn change(text: &str) -> Result<Scaling, String> {
    let number = |digits: &str| {
        let plain = digits.starts_with(|first: char| first.is_ascii_digit());
        digits.parse().ok().filter(|_| plain).ok_or_else(|| "write 4, +2 or -1".to_owned())
    };
    match text.split_at_checked(1) {
        Some(("+", more)) => number(more).map(Scaling::More),
        Some(("-", fewer)) => number(fewer).map(Scaling::Fewer),
        _ => number(text).map(Scaling::To),
    }
}

/// Runs the verb.
pub(super) fn run(args: &ScaleArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let selected = control::selected(place, &ctl, std::slice::from_ref(&args.app))?;
    let [one] = selected.as_slice() else {
        return Err(Error::Usage("scale takes one app".to_owned()));
    };
    if one.instance.is_some() {
        return Err(Error::Usage(format!("scale takes the app: clusterctl scale {} …", one.app)));
    }
    let mut sink = |event: ops::Event| show::event(&event, ui);
    let finished = ops::scale(&ctl, &one.app, args.number, &mut sink)?;
    show::count_untouched(&ctl, finished.done.keys(), ui)?;
    show::finish(&ctl, &finished.done, ui)?;
    if ui.counted().0.is_nothing(&one.app) {
        ui.say(&format!(
            "the new number counts from the next start on: clusterctl start {}",
            one.app
        ));
    }
    Ok(())
}
