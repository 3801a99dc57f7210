use std::fs;

use super::*;

#[test]
fn scanning_finds_pictures_in_order_and_says_what_it_does_not_find() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::create_dir_all(root.join("b/deep")).unwrap();
    fs::create_dir(root.join("none")).unwrap();
    for name in ["c.JPG", "a.png", "notes.txt", "b/deep/x.webp", "b/y.tiff", "b/z.jfif", "png"] {
        fs::write(root.join(name), "").unwrap();
    }
    let names = |roots: &[PathBuf]| -> Vec<PathBuf> {
        let folder = Folder::scan(roots).unwrap();
        assert_eq!(folder.len(), folder.files().len());
        folder.files().iter().map(|file| file.strip_prefix(root).unwrap().to_owned()).collect()
    };
    let all = ["a.png", "b/deep/x.webp", "b/y.tiff", "b/z.jfif", "c.JPG"].map(PathBuf::from);
    assert_eq!(names(&[root.into()]), all);
    let single = root.join("c.JPG");
    assert_eq!(
        names(&[single.clone(), root.join("b"), single]),
        ["c.JPG", "b/deep/x.webp", "b/y.tiff", "b/z.jfif"].map(PathBuf::from)
    );

    let refusal = |roots: &[PathBuf]| Folder::scan(roots).unwrap_err().to_string();
    let message = refusal(&[root.into(), root.join("none")]);
    assert!(message.contains("none: it holds no picture"), "{message}");
    let message = refusal(&[root.join("missing")]);
    assert!(message.contains("missing") && message.contains("check the path"), "{message}");
    assert!(refusal(&[root.join("notes.txt")]).contains("notes.txt"));
    assert!(refusal(&[]).contains("at least one folder"));
}

#[test]
fn hidden_files_and_one_folder_are_left_out_and_other_formats_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join(".shots");
    for folder in [".thumbs", "painted", "old/painted"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for name in [
        "a.png",
        "._a.png",
        ".thumbs/a.png",
        "painted/a.png",
        "old/painted/a.png",
        "b.heic",
        "c.HEIC",
        "d.gif",
        "e.xmp",
    ] {
        fs::write(root.join(name), "").unwrap();
    }
    let found = Found::under(&root, Some(&root.join("old/../painted")));
    // The root itself may be hidden, and only the one folder is left out.
    assert_eq!(found.files, [root.join("a.png"), root.join("old/painted/a.png")]);
    assert_eq!(found.passed_over, BTreeMap::from([("gif".to_string(), 1), ("heic".to_string(), 2)]));
    assert!(found.unreadable.is_empty());
    // A root that is to be left out is searched: the user named it.
    assert_eq!(Found::under(&root, Some(&root)).files.len(), 3);
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_end() {
    use std::os::unix::fs::symlink;
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    for root in [&one, &two] {
        fs::create_dir(root).unwrap();
        fs::write(root.join("a.png"), "").unwrap();
    }
    symlink(&two, one.join("other")).unwrap();
    symlink(&one, two.join("back")).unwrap();
    symlink(directory.path().join("gone.png"), one.join("gone.png")).unwrap();
    symlink(one.join("self.png"), one.join("self.png")).unwrap();
    let folder = Folder::scan(std::slice::from_ref(&one)).unwrap();
    assert_eq!(folder.files(), [one.join("a.png"), one.join("other/a.png")]);
}

#[test]
fn holding_out_splits_by_the_last_number() {
    let names =
        ["000000000010.jpg", "20-of-99.png", "a5b.png", "plain.jpg", "x0.png", "99999999999999999999999999990.png"];
    let folder = Folder::of_files(names.map(PathBuf::from).to_vec());
    let kept = |n, held_out| -> Vec<String> {
        let kept = folder.clone().hold_out(n, held_out).unwrap();
        kept.files().iter().map(|file| file.display().to_string()).collect()
    };
    assert_eq!(kept(10, true), [names[0], names[4], names[5]]);
    assert_eq!(kept(10, false), [names[1], names[2], names[3]]);
    assert_eq!(kept(11, true), [names[1], names[4], names[5]]);
    assert!(folder.clone().hold_out(0, true).unwrap_err().to_string().contains("at least 1"));
    let message = Folder::of_files(vec!["plain.jpg".into()]).hold_out(2, true).unwrap_err().to_string();
    assert!(message.contains("none of 1 is held out"), "{message}");
}
