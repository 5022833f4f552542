package notice

// gathered is when what is wrong with a gathering is over.
var gathered = Text{"the system was gathered again", "再び収集できたとき"}

// Of systems and the repository.
var (
	NotGathered = declare(Kind{
		Code: "not-gathered", Severity: Warning,
		What: Text{"was not gathered", "収集できませんでした"},
		Next: Text{"look at the reason, then: airlock gather {system}", "理由を確かめ、airlock gather {system} を実行してください"},
		Over: gathered,
	})
	GatheringHeld = declare(Kind{
		Code: "gathering-held", Severity: Critical,
		What: Text{"its gathering is held", "収集を保留しています"},
		Next: Text{"look at its source; if it is right so: airlock accept {system} --reason TEXT", "取得元を確かめ、正しければ: airlock accept {system} --reason 理由"},
		Over: Text{"it was accepted, or gathered whole again", "受け入れたとき、または再び通常どおり収集できたとき"},
	})
	GatheringGoesOn = declare(Kind{
		Code: "gathering-goes-on", Severity: Warning,
		What: Text{"its gathering goes on and on", "収集が終わりません"},
		Next: Text{"look at the source: a server that gives a few bytes at a time, or folders without end", "取得元を確かめてください（少しずつしか返さないサーバー、終わりのないフォルダー）"},
		Over: gathered,
	})
	SnapshotsBraked = declare(Kind{
		Code: "snapshots-not-dropped", Severity: Warning,
		What: Text{"none of its snapshots is dropped", "スナップショットの整理を止めています"},
		Next: Text{"look at airlock snapshots {system}; if it is right that so many go: airlock gather {system} --brake N", "airlock snapshots {system} を確かめ、まとめて消えて正しければ: airlock gather {system} --brake 数"},
		Over: gathered,
	})
	NotMaintained = declare(Kind{
		Code: "repository-not-maintained", Severity: Warning,
		What: Text{"the repository could not be maintained", "一次保管先を整理できませんでした"},
		Next: Text{"look whether the NAS is there and has room; it is tried again the next day", "NAS に届くか、空きがあるかを確かめてください。翌日もう一度試します"},
	})
)

// windowDone is when what is wrong with a vault's windows is over.
var windowDone = Text{"a window of the vault is done", "この二次保管先の開扉が無事に終わったとき"}

// Of windows and vaults.
var (
	WindowFailed = declare(Kind{
		Code: "window-failed", Severity: Critical,
		What: Text{"window failed", "開扉に失敗しました"},
		Next: Text{"look at the reason, then: airlock window {vault} --reason TEXT; it carries on where it was cut", "理由を確かめ、airlock window {vault} --reason 理由 を実行してください。途中から続きます"},
		Over: windowDone,
	})
	WindowRefused = declare(Kind{
		Code: "window-refused", Severity: Critical,
		What: Text{"window refused", "開扉を断りました"},
		Next: Text{"the door was not opened; do what the reason says", "扉は開けていません。理由に示されたとおりにしてください"},
		Over: windowDone,
	})
	WindowInPart = declare(Kind{
		Code: "window-in-part", Severity: Critical,
		What: Text{"window in part", "開扉は一部だけ終わりました"},
		Next: Text{"look at what is missing: airlock vaults {vault}", "欠けているものを確かめてください: airlock vaults {vault}"},
		Over: windowDone,
	})
	WindowCut = declare(Kind{
		Code: "window-cut", Severity: Critical,
		What: Text{"window cut", "開扉は途中で切れました"},
		Next: Text{"the next window carries on", "次の開扉が途中から続けます"},
		Over: windowDone,
	})
	HostAlarms = declare(Kind{
		Code: "vault-host-alarms", Severity: Critical,
		What: Text{"the vault's host raises an alarm", "二次保管先のホストが警報を出しています"},
		Next: Text{"at the vault's host: airlock vault status", "二次保管先のホストで airlock vault status を実行してください"},
		Over: Text{"a receipt comes without alarms", "警報のない受領証が届いたとき"},
	})
	VaultNotTended = declare(Kind{
		Code: "vault-keeps-all", Severity: Warning,
		What: Text{"nothing is dropped from the vault", "二次保管先の世代の整理を止めています"},
		Next: Text{"look at airlock vaults {vault}, and do what the reason says", "airlock vaults {vault} を確かめ、理由に示されたとおりにしてください"},
		Over: Text{"a window dropped what no rule keeps", "規則にないものを消せたとき"},
	})
	DamageFound = declare(Kind{
		Code: "damage-found", Severity: Critical,
		What: Text{"verification found damage", "確認で破損が見つかりました"},
		Next: Text{"heal the repository from a vault: airlock heal --from VAULT --reason TEXT; what a vault lost is sent again by its next window", "一次保管先は二次保管先から修復できます: airlock heal --from 二次保管先 --reason 理由。二次保管先で失われた分は、次の開扉で送り直します"},
		Over: Text{"all of it was verified and found sound", "すべてを確認し、破損がなかったとき"},
	})
	SiteKeyUsed = declare(Kind{
		Code: "site-key-used", Severity: Critical,
		What: Text{"somebody else uses the site's key", "ほかの誰かが施設の鍵を使っています"},
		Next: Text{"shut the vault's door out of reach (airlock lockdown --reason TEXT), find out who, and give the site a new key", "封鎖して（airlock lockdown --reason 理由）誰かを調べ、施設の鍵を新しくしてください"},
	})
)

// trusted is when doubt of the ledger is over.
var trusted = Text{"the ledger can be trusted again", "台帳を再び信頼できるようになったとき"}

// Of the ledger, and of the program itself.
var (
	LedgerNotOpened = declare(Kind{
		Code: "ledger-not-opened", Severity: Critical,
		What: Text{"the ledger cannot be opened, so no door will be", "台帳を開けないため、扉も開けません"},
		Next: Text{"doors can be shut; put the ledger's file right, then restart", "扉は閉じられます。台帳のファイルを直して再起動してください"},
		Over: trusted,
	})
	LedgerNotTrusted = declare(Kind{
		Code: "ledger-not-trusted", Severity: Critical,
		What: Text{"the ledger cannot be trusted, so no vault's door is opened", "台帳を信頼できないため、二次保管先の扉を開けません"},
		Next: Text{"keep the file as evidence, run airlock audit verify; then end airlock serve, run airlock audit renew --reason TEXT, and start it again", "ファイルを証拠として残し、airlock audit verify を実行します。そのあと airlock serve を止め、airlock audit renew --reason 理由 を実行して、起動し直してください"},
		Over: trusted,
	})
	LedgerBegunAnew = declare(Kind{
		Code: "ledger-begun-anew", Severity: Critical,
		What: Text{"the ledger was damaged, and a new one was begun; an inner door that it had to open again stays shut", "台帳が壊れていたため、新しく始めました。再び開けるはずだった部門側の扉は閉じたままです"},
		Next: Text{"keep the old file as evidence; open the inner door: airlock open DOOR --reason TEXT", "古いファイルは証拠として残してください。部門側の扉は airlock open 扉 --reason 理由 で開けます"},
	})
	LedgerNotSigned = declare(Kind{
		Code: "ledger-not-signed", Severity: Critical,
		What: Text{"nothing vouches for the ledger any more, for its heads are not signed", "台帳ヘッドに署名できないため、台帳を裏付けるものがなくなりました"},
		Next: Text{"put the site's key back in keys/site.key of the state folder", "状態フォルダーの keys/site.key に施設の鍵を戻してください"},
	})
	LedgerNotVerified = declare(Kind{
		Code: "ledger-not-verified", Severity: Critical,
		What: Text{"the ledger could not be verified", "台帳を確認できませんでした"},
		Next: Text{"run: airlock audit verify", "airlock audit verify を実行してください"},
		Over: Text{"it was verified", "確認できたとき"},
	})
	VerificationNotKept = declare(Kind{
		Code: "ledger-verification-not-kept", Severity: Warning,
		What: Text{"that the ledger was verified could not be kept", "台帳を確認したことを記録できませんでした"},
		Next: Text{"make the state folder writable", "状態フォルダーに書き込めるようにしてください"},
		Over: Text{"it was verified again", "再び確認できたとき"},
	})
	LedgerTells = declare(Kind{
		Code: "ledger-tells-grave", Severity: Critical,
		What: Text{"the ledger tells of something that must not happen; airlock audit verify lists all", "あってはならないことが台帳に記録されています。すべては airlock audit verify で分かります"},
		Next: Text{"run: airlock audit verify", "airlock audit verify を実行してください"},
	})
	NotStamped = declare(Kind{
		Code: "ledger-not-stamped", Severity: Warning,
		What: Text{"no head of the ledger was time-stamped since %s", "%s から、台帳ヘッドに時刻認証を得ていません"},
		Next: Text{"look whether the time-stamping authority is within reach", "時刻認証局に届くか確かめてください"},
	})
	SIEMNotTold = declare(Kind{
		Code: "siem-not-told", Severity: Warning,
		What: Text{"the SIEM is not told of the ledger's entries", "台帳の記録を SIEM に送っていません"},
		Next: Text{"set right ledger.syslog in the policy file", "設定ファイルの ledger.syslog を直してください"},
	})
	SIEMTakesNone = declare(Kind{
		Code: "siem-takes-none", Severity: Warning,
		What: Text{"the SIEM takes no entries of the ledger", "SIEM が台帳の記録を受け取りません"},
		Next: Text{"look whether it is within reach; nothing is lost, and all is told later", "SIEM に届くか確かめてください。失われるものはなく、あとですべて送ります"},
		Over: Text{"it takes them again", "再び受け取ったとき"},
	})
	SIEMToldAnother = declare(Kind{
		Code: "siem-told-another-ledger", Severity: Critical,
		What: Text{"the ledger is not the one that the SIEM was told, and is told from its beginning", "SIEM に送った台帳と違うため、最初から送り直します"},
		Next: Text{"compare what the SIEM has with airlock audit list: somebody replaced the ledger, or it was begun anew", "SIEM の内容と airlock audit list を見比べてください。誰かが台帳を差し替えたか、新しく始めたものです"},
	})
	RecordingsUnfinished = declare(Kind{
		Code: "recordings-unfinished", Severity: Warning,
		What: Text{"recordings of an earlier run cannot be finished", "前回の実行のセッション記録を完結できません"},
		Next: Text{"make STATE/sessions writable, or free some space there", "STATE/sessions に書き込めるようにするか、空きを作ってください"},
	})
	PolicyChanged = declare(Kind{
		Code: "policy-changed", Severity: Warning,
		What: Text{"the policy file has changed; airlock runs with that of %s; restart it", "設定ファイルが変更されています。airlock は %s の設定で動いています。再起動してください"},
		Next: Text{"run: airlock check, then systemctl restart airlock", "airlock check のあと、systemctl restart airlock を実行してください"},
		Over: Text{"the executor runs by the file as it is", "実行役が今のファイルで動いたとき"},
	})
	PolicyBroken = declare(Kind{
		Code: "policy-broken", Severity: Warning,
		What: Text{"the policy file has changed and cannot be used; airlock runs with that of %s; mend it before a restart", "設定ファイルが変更され、使えない状態です。airlock は %s の設定で動いています。再起動の前に直してください"},
		Next: Text{"run: airlock check", "airlock check を実行してください"},
		Over: Text{"the executor runs by the file as it is", "実行役が今のファイルで動いたとき"},
	})
	Defect = declare(Kind{
		Code: "defect", Severity: Critical,
		What: Text{"a defect in airlock: please report what the log of the service says", "airlock の不具合です。サービスのログの内容を報告してください"},
		Next: Text{"the doors of what failed were shut; look at airlock status", "失敗した処理の扉は閉じました。airlock status を確かめてください"},
	})
)
