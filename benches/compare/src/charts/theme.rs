//! Colours, light and dark.

/// A theme: its name and its colours.
pub(crate) struct Theme {
    /// Its name, which ends its files' names.
    pub(crate) name: &'static str,
    /// Behind everything.
    pub(crate) back: &'static str,
    /// Titles, names and values.
    pub(crate) text: &'static str,
    /// Captions and labels.
    pub(crate) faint: &'static str,
    /// Lines of the grid.
    pub(crate) grid: &'static str,
    /// Everyone's bars.
    pub(crate) bar: &'static str,
    /// Ours.
    pub(crate) ours: &'static str,
    /// The mark of the goal.
    pub(crate) goal: &'static str,
}

/// Both.
pub(crate) const THEMES: [Theme; 2] = [
    Theme {
        name: "light",
        back: "#ffffff",
        text: "#1f2328",
        faint: "#59636e",
        grid: "#d1d9e0",
        bar: "#b6c2cf",
        ours: "#0969da",
        goal: "#1a7f37",
    },
    Theme {
        name: "dark",
        back: "#0d1117",
        text: "#f0f6fc",
        faint: "#9198a1",
        grid: "#3d444d",
        bar: "#4a5664",
        ours: "#4493f8",
        goal: "#3fb950",
    },
];
