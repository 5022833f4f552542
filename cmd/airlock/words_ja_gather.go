package main

// japaneseGathering are this program's own texts about what is gathered and restored.
func japaneseGathering() []phrase {
	return []phrase{
		{"held", "保留"},
		{"HELD: %s", "保留: {1}"},
		{"%s: HELD: %s, %s: %s", "{1}: 保留: {2}、{3}: {4}"},
		{"%s: accepted: %s, %s, as of %s", "{1}: 正しいものとして受け入れました: {2}、{3}（{4} 時点）"},
		{"%s: accepted: its source lies where it was found last", "{1}: 受け入れました: 取得元は、最後に見つかった場所にあるものとします"},
		{"%s: names of more than 255 bytes, which no Linux disk takes and a restore leaves out: %s", "{1}: 255 バイトを超え、Linux のディスクには復元できない名前: {2}"},
		{"%s: links that lead back, left out: %s", "{1}: 上のフォルダーに戻るリンク（除外）: {2}"},
		{"%s: no snapshot was dropped: %s", "{1}: スナップショットは消していません: {2}"},
		{"no rule: a gathering drops it", "該当なし（次の収集で削除）"},
		{"drop up to so many snapshots of a system this once", "今回だけ、部門システムごとにこの数までのスナップショットを消す"},
		{"%d name", "{1} 件"}, {"%d names", "{1} 件"},
		{"%d of %d files restored; not restored, or not as they were: %s", "{2} ファイル中 {1} ファイルを復元。復元できなかったもの、元どおりでないもの: {3}"},
		{"all of them: %s", "全件の一覧: {1}"},
		{"only this file or folder, by its `path` in the snapshot; may be repeated", "スナップショット内のこの `path`（ファイルまたはフォルダー）だけ（複数指定可）"},
		{"leave out what this `glob` matches, as exclude in the policy file; may be repeated", "この `glob` に当たるものを除く（設定ファイルの exclude と同じ書き方。複数指定可）"},
	}
}

// japaneseGatheringHeard are texts of the executor about what is gathered and restored.
func japaneseGatheringHeard() []phrase {
	return []phrase{
		{"%s: held: %s; look at its source; if it is right so: airlock accept %s --reason TEXT", "{1}: 保留: {2}。取得元を確認し、正しければ受け入れてください: airlock accept {3} --reason 理由"},
		{"held: %s", "保留: {1}"},
		{"system %s: its gatherings are held since %s: %s; look at its source; if it is right so: airlock accept %s --reason TEXT", "部門システム {1}: {2} から収集が保留: {3}。取得元を確認し、正しければ受け入れてください: airlock accept {4} --reason 理由"},
		{"system %s its gathering is held: %s; look at its source; if it is right so: airlock accept %s --reason TEXT", "部門システム {1}: 収集を保留: {2}。取得元を確認し、正しければ受け入れてください: airlock accept {3} --reason 理由"},
		{"it has %s files, and expect.min_files is %s", "ファイルが {1} 個しかありません（expect.min_files は {2}）"},
		{"it has %s, and expect.min_bytes is %s", "{1} しかありません（expect.min_bytes は {2}）"},
		{"there is not one file in the source, and there were %s", "取得元にファイルがひとつもありません（前回は {1} 個）"},
		{"there is not one file in the source", "取得元にファイルがひとつもありません"},
		{"all of its files are empty, and there were %s", "すべてのファイルが空です（前回は {1}）"},
		{"it has %s files, and the last good one had %s", "ファイルが {1} 個に減っています（前回は {2} 個）"},
		{"it has %s, and the last good one had %s", "{1} に減っています（前回は {2}）"},
		{"the source is not where it was: %s; if it is right so: airlock accept %s --reason TEXT", "取得元の場所が以前と違います: {1}。正しければ: airlock accept {2} --reason 理由"},
		{"it lay on what is mounted at %s, and lies on %s now: is it mounted?", "以前は {1} のマウント上にありましたが、今は {2} にあります。マウントされていますか"},
		{"it lay on %s, and lies on what is mounted at %s now", "以前は {1} にありましたが、今は {2} のマウント上にあります"},
		{"another disk or share is mounted at %s than before: it was %s, and is %s", "{1} に以前と別のディスクか共有がマウントされています（以前 {2}、現在 {3}）"},
		{"%s of %s files were restored; %s names were not, or not as they were, %s first (%s)", "{2} ファイル中 {1} ファイルを復元しました。復元できなかったもの、元どおりでないもの {3} 件（最初は {4}: {5}）"},
		{"restore snapshot %s to %s: %s", "スナップショット {1} の {2} への復元: {3}"},
		{"%s: there is no such file or folder in the snapshot", "{1}: そのスナップショットにありません"},
		{"the source breaks its bounds: %s", "取得元が上限を超えています: {1}"},
		{"%s folders in a row have not one file; if that is right, raise limits.entries", "{1} 個のフォルダーが続けて空です。正しければ limits.entries を上げてください"},
		{"it has more than %s files and folders; if that is right, raise limits.entries", "ファイルとフォルダーが {1} 個を超えています。正しければ limits.entries を上げてください"},
		{"not one byte came from the source%s", "取得元から何も届いていません（{1}）"},
		{"accept a snapshot of %s: nothing of it is held", "{1} に保留中の収集はありません"},
	}
}
