//! Two hundred routes, and a path for each.

/// The things that a site is about.
const THINGS: [&str; 20] = [
    "users",
    "teams",
    "projects",
    "issues",
    "releases",
    "branches",
    "tags",
    "files",
    "comments",
    "reviews",
    "labels",
    "milestones",
    "events",
    "hooks",
    "keys",
    "invoices",
    "payments",
    "reports",
    "sessions",
    "settings",
];

/// The routes of each thing; as a pattern and as a path.
const SHAPES: [(&str, &str); 10] = [
    ("", ""),
    ("/search", "/search"),
    ("/{id}", "/4711"),
    ("/{id}/edit", "/4711/edit"),
    ("/{id}/history", "/4711/history"),
    ("/{id}/history/{entry}", "/4711/history/17"),
    ("/{id}/members", "/4711/members"),
    ("/{id}/members/{member}", "/4711/members/ada"),
    (
        "/{id}/members/{member}/roles/{role}",
        "/4711/members/ada/roles/owner",
    ),
    ("/export/latest", "/export/latest"),
];

/// Pattern and path of each route.
pub(crate) fn routes() -> Vec<(String, String)> {
    let of = |thing: &'static str| {
        SHAPES.map(|(pattern, path)| {
            (
                format!("/api/v1/{thing}{pattern}"),
                format!("/api/v1/{thing}{path}"),
            )
        })
    };
    THINGS.into_iter().flat_map(of).collect()
}
